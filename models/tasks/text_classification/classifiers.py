"""The three kinds of classifying models, each with a method `scores`. The model's own files say which kind it is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.encoders import Encoder, batcher, checkpoint
from models.encoders.sentences import SentenceEncoder, normalized
from models.encoders.tokens import Tokenizer, Tokens
from models.errors import EngineError
from models.json_files import read_json
from models.tasks.text_classification import scoring
from models.tasks.text_classification.manifest import SLOT, Manifest, Similarity

_MOST_KEPT = 10_000


class OwnLabels:
    """A sequence classifier that was fine-tuned on its own labels.

    `labels`: in the order of its logits; `each_by_itself`: whether it was trained so that several may fit a text.
    """

    def __init__(self, encoder: Encoder, limit: int | None) -> None:
        config = read_json(encoder.folder / "config.json")
        self.labels: list[str] | None = labels_of(encoder.folder)
        self.each_by_itself = config.get("problem_type") == "multi_label_classification" or len(self.labels) == 1
        self.tokenizer = Tokenizer(encoder.folder, limit)
        self.batcher = batcher(encoder, encoder.run)

    async def scores(self, texts: list[str], labels: list[str], template: str, each: bool, reading: "Reading") -> Any:
        """float32[texts, labels]."""
        import numpy

        tokens = await reading.tokens(self.tokenizer, texts)
        return scoring.of_logits(numpy.stack(await self.batcher.submit(tokens)), each)


class Entailment:
    """A model of natural language inference: it scores whether a label's hypothesis follows from a text."""

    labels: list[str] | None = None
    each_by_itself = False

    def __init__(self, encoder: Encoder, limit: int | None) -> None:
        names = [label.lower() for label in labels_of(encoder.folder)]
        self._entailment = next(index for index, name in enumerate(names) if name.startswith("entail"))
        against = [index for index, name in enumerate(names) if name.startswith(("contra", "not"))]
        self._contradiction = against[0] if against else (-1 if self._entailment == 0 else 0)
        self.tokenizer = Tokenizer(encoder.folder, limit)
        self.batcher = batcher(encoder, encoder.run)

    async def scores(self, texts: list[str], labels: list[str], template: str, each: bool, reading: "Reading") -> Any:
        """float32[texts, labels]."""
        import numpy

        pairs = [(text, template.replace(SLOT, label)) for text in texts for label in labels]
        tokens = await reading.tokens(self.tokenizer, pairs, len(labels))
        logits = numpy.stack(await self.batcher.submit(tokens)).reshape(len(texts), len(labels), -1)
        return scoring.of_entailment(logits, self._entailment, self._contradiction, each)


class Likeness:
    """An embedding model: it compares a text's vector with that of a label's hypothesis, which is computed once."""

    labels: list[str] | None = None
    each_by_itself = False

    def __init__(self, encoder: Encoder, limit: int | None, similarity: Similarity) -> None:
        self._sentences = SentenceEncoder(encoder, limit)
        self._similarity = similarity
        self._known: dict[str, Any] = {}
        self.tokenizer, self.batcher = self._sentences.tokenizer, self._sentences.batcher

    async def scores(self, texts: list[str], labels: list[str], template: str, each: bool, reading: "Reading") -> Any:
        """float32[texts, labels]."""
        import numpy

        tokens = await reading.tokens(self.tokenizer, texts)
        hypotheses = [template.replace(SLOT, label) for label in labels]
        unknown = [hypothesis for hypothesis in hypotheses if hypothesis not in self._known]
        wanted = [*tokens, *self.tokenizer.encode(unknown, "labels", cuts=True)]
        vectors = normalized(await self._sentences.vectors(wanted))
        known = self._known | dict(zip(unknown, vectors[len(tokens) :], strict=True))
        self._known = known if len(known) <= _MOST_KEPT else {}
        similarity = vectors[: len(tokens)] @ numpy.stack([known[hypothesis] for hypothesis in hypotheses]).T
        return scoring.of_similarity(similarity, self._similarity.scale, self._similarity.threshold, each)


Classifier = OwnLabels | Entailment | Likeness


def of(encoder: Encoder, model: Manifest) -> Classifier:
    """The classifier of the kind that the model's config.json gives.

    Raises:
        EngineError: the model is a sequence classifier, but does not name its labels.
    """
    if not checkpoint.is_classifier(encoder.folder):
        return Likeness(encoder, model.max_tokens, model.similarity)
    if any(label.lower().startswith("entail") for label in labels_of(encoder.folder)):
        return Entailment(encoder, model.max_tokens)
    return OwnLabels(encoder, model.max_tokens)


def labels_of(folder: Path) -> list[str]:
    """The labels in config.json, in the order of their ids.

    Raises:
        EngineError: there are none.
    """
    named = read_json(folder / "config.json").get("id2label")
    if not isinstance(named, dict) or not named:
        raise EngineError(f"{folder / 'config.json'} has no id2label, so the meaning of the logits is unknown")
    return [str(named[number]) for number in sorted(named, key=int)]


class Reading:
    """Tokenizes a prediction's texts as it asks, and counts tokens and cut texts for its metrics."""

    def __init__(self, name: str, cuts: bool) -> None:
        self._name, self._cuts = name, cuts
        self.tokens_read = self.texts_cut = 0

    async def tokens(self, tokenizer: Tokenizer, texts: Sequence[Any], pairs_of_each: int = 1) -> list[Tokens]:
        """The tokens of texts or of pairs of texts; `pairs_of_each` pairs in a row begin with the same text.

        Raises:
            InputError: a text is too long.
        """
        read = await tokenizer.encode_beside(texts, self._name, self._cuts, pairs_of_each)
        self.tokens_read += sum(len(one.ids) for one in read)
        self.texts_cut += sum(one.is_cut for one in read[::pairs_of_each])
        return read
