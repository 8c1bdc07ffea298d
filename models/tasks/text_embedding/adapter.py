"""The adapter of text embedding: checks the texts, adds their prefix, and computes vectors in shared batches."""

import asyncio
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models import encoders
from models.encoders.sentences import SentenceEncoder, normalized
from models.encoders.texts import given_texts
from models.errors import InputError
from models.json_files import read_json
from models.manifest import selected_as
from models.tasks.text_embedding.manifest import Manifest

RecordMetric = Callable[[str, Any], None]
_MOST_NUMBERS = 4_000_000
"""The most numbers in a JSON response, about 50 MB of text."""
_DECIMALS = 8
_FEW_VECTORS = 32  # written in less time than a thread takes to start
_PROMPTS = {"query": ("query",), "passage": ("passage", "document")}
"""The names of each type's prefix in config_sentence_transformers.json."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """The inputs of predict(); predict.py gives the meaning, bounds and default of each."""

    text: str | None
    texts: list[str] | None
    input_type: str
    normalize: bool
    dimensions: int | None
    truncate: bool
    output_format: str


@dataclass(frozen=True)
class Embedded:
    """`embeddings`: numbers[texts, dimensions], in the order of the texts; or `file`: a .npy of float32."""

    embeddings: Any
    file: io.BytesIO | None


def load(slug: str = "") -> "TextEmbedding":
    """Load the model `slug`, or else the selected one, onto the best available device.

    Raises:
        ManifestError, EngineError, WeightsError: each names what is wrong and the remedy.
    """
    model = selected_as(Manifest, slug)
    return TextEmbedding(SentenceEncoder(encoders.start(model), model.max_tokens), model)


class TextEmbedding:
    """A loaded model. `prefixes`: the text put before an input text, by input type."""

    def __init__(self, sentences: SentenceEncoder, model: Manifest) -> None:
        self.sentences = sentences
        self.prefixes = _prefixes(sentences.encoder.folder, model)
        print(
            f"vectors of {sentences.width} numbers, texts of up to {sentences.tokenizer.limit} tokens; prefixes: "
            + ", ".join(f"{kind} {prefix!r}" for kind, prefix in self.prefixes.items())
        )

    def is_healthy(self) -> bool:
        return self.sentences.batcher.is_healthy()

    async def embed(self, request: Request, record_metric: RecordMetric) -> Embedded:
        """The vectors of the texts.

        Records text_count, input_token_count (prefixes and special tokens included), truncated_count, embed_time
        (seconds of the model), engine and device.

        Raises:
            InputError: the request cannot be answered; says why.
            EngineError: the engine failed.
        """
        texts = given_texts(request.text, request.texts)
        dimensions = self._dimensions(request, len(texts))
        prefix = self.prefixes[request.input_type]
        given = [prefix + text for text in texts]
        name = "text" if request.texts is None else "texts"
        tokens = await self.sentences.tokenizer.encode_beside(given, name, request.truncate)
        begun = time.monotonic()
        vectors = await self.sentences.vectors(tokens)
        record_metric("embed_time", round(time.monotonic() - begun, 4))
        record_metric("text_count", len(tokens))
        record_metric("input_token_count", sum(len(one.ids) for one in tokens))
        record_metric("truncated_count", sum(one.is_cut for one in tokens))
        record_metric("engine", self.sentences.encoder.name)
        record_metric("device", self.sentences.encoder.device)
        vectors = vectors[:, :dimensions]
        if request.normalize:
            vectors = normalized(vectors)
        if len(tokens) <= _FEW_VECTORS:
            return _embedded(vectors, request.output_format)
        return await asyncio.to_thread(_embedded, vectors, request.output_format)

    def _dimensions(self, request: Request, texts: int) -> int:
        width = self.sentences.width
        dimensions = request.dimensions or width
        if dimensions > width:
            raise InputError(f"dimensions is {dimensions}, and the model's vectors have {width}: ask for at most those")
        if request.output_format == "json" and texts * dimensions > _MOST_NUMBERS:
            raise InputError(
                f"{texts} vectors of {dimensions} numbers are too many for one JSON answer: set output_format to npy, "
                f"or send at most {_MOST_NUMBERS // dimensions} texts a call"
            )
        return dimensions


def _prefixes(folder: Path, model: Manifest) -> dict[str, str]:
    prompts = read_json(folder / "config_sentence_transformers.json").get("prompts") or {}
    chosen = {"query": model.query_prefix, "passage": model.passage_prefix}
    found = {kind: next((prompts[name] for name in names if prompts.get(name)), "") for kind, names in _PROMPTS.items()}
    return {kind: str(found[kind]) if prefix is None else prefix for kind, prefix in chosen.items()}


def _embedded(vectors: Any, output_format: str) -> Embedded:
    import numpy

    from models.tasks.text_embedding.numbers import numbers

    if output_format == "json":
        return Embedded(numbers(vectors, _DECIMALS), None)
    file = io.BytesIO()
    numpy.save(file, vectors.astype(numpy.float32), allow_pickle=False)
    return Embedded(None, file)
