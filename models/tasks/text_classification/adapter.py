"""The adapter of text classification: checks texts and labels, and scores every label for every text."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from models import encoders
from models.encoders import Encoder
from models.encoders.texts import given_texts
from models.errors import InputError
from models.manifest import selected_as
from models.tasks.text_classification import classifiers
from models.tasks.text_classification.classifiers import Classifier, Reading
from models.tasks.text_classification.manifest import SLOT, Manifest

RecordMetric = Callable[[str, Any], None]
_MOST_LABELS = 1000
_MOST_SCORES = 20_000
_DECIMALS = 6


@dataclass(frozen=True, kw_only=True)
class Request:
    """The inputs of predict(); predict.py gives the meaning, bounds and default of each."""

    text: str | None
    texts: list[str] | None
    labels: list[str] | None
    hypothesis_template: str | None
    multi_label: bool | None
    top_k: int | None
    truncate: bool


@dataclass(frozen=True)
class Score:
    """A label and its score, from 0 to 1."""

    label: str
    score: float


def load(slug: str = "") -> "TextClassification":
    """Load the model `slug`, or else the selected one, onto the best available device.

    Raises:
        ManifestError, EngineError, WeightsError: each names what is wrong and the remedy.
    """
    model = selected_as(Manifest, slug)
    return TextClassification(encoders.start(model), model)


class TextClassification:
    def __init__(self, encoder: Encoder, model: Manifest) -> None:
        self.encoder, self._model = encoder, model
        self.classifier: Classifier = classifiers.of(encoder, model)
        own = self.classifier.labels
        chosen = f"labels of its own ({', '.join(own)})" if own else "labels of the caller"
        print(f"{type(self.classifier).__name__}: {chosen}, texts of up to {self.classifier.tokenizer.limit} tokens")

    def is_healthy(self) -> bool:
        return self.classifier.batcher.is_healthy()

    async def classify(self, request: Request, record_metric: RecordMetric) -> list[list[Score]]:
        """For each text, its labels with their scores, the highest score first.

        Records text_count, label_count, input_token_count, truncated_count, classify_time (seconds), engine and
        device.

        Raises:
            InputError: the request cannot be answered; says why.
            EngineError: the engine failed.
        """
        begun = time.monotonic()
        texts = given_texts(request.text, request.texts)
        labels = self._labels(request, len(texts))
        template = self._template(request)
        each = self.classifier.each_by_itself if request.multi_label is None else request.multi_label
        reading = Reading("text" if request.texts is None else "texts", request.truncate)
        scores = await self.classifier.scores(texts, labels, template, each, reading)
        record_metric("text_count", len(texts))
        record_metric("label_count", len(labels))
        record_metric("input_token_count", reading.tokens_read)
        record_metric("truncated_count", reading.texts_cut)
        record_metric("classify_time", round(time.monotonic() - begun, 4))
        record_metric("engine", self.encoder.name)
        record_metric("device", self.encoder.device)
        return [_ranked(labels, row, request.top_k) for row in scores.tolist()]

    def _labels(self, request: Request, texts: int) -> list[str]:
        own = self.classifier.labels
        if own is not None:
            if request.labels is not None:
                raise InputError(f"labels cannot be chosen: the model has {', '.join(own)}; leave out labels")
            return own
        labels = self._model.labels if request.labels is None else request.labels
        if not labels:
            raise InputError("labels is missing: send the labels to choose from")
        _check_labels(labels)
        if texts * len(labels) > _MOST_SCORES:
            raise InputError(
                f"{texts} texts and {len(labels)} labels are {texts * len(labels)} scores, and a call gives at most "
                f"{_MOST_SCORES}: send several calls"
            )
        return labels

    def _template(self, request: Request) -> str:
        if request.hypothesis_template is None:
            return self._model.hypothesis_template
        if self.classifier.labels is not None:
            raise InputError("the model has labels of its own, and reads no hypothesis_template: leave it out")
        if SLOT not in request.hypothesis_template:
            raise InputError(
                f"hypothesis_template has no {SLOT} where the label goes, like: This text is about {SLOT}."
            )
        return request.hypothesis_template


def _check_labels(labels: list[str]) -> None:
    if len(labels) > _MOST_LABELS:
        raise InputError(f"labels has {len(labels)} labels, and a call takes at most {_MOST_LABELS}: leave some out")
    seen: set[str] = set()
    for number, label in enumerate(labels, start=1):
        if not isinstance(label, str) or not label.strip():
            raise InputError(f"label {number} is empty: leave it out")
        if label.strip() in seen:
            raise InputError(f"label {number} is {label.strip()!r} again: send each label once")
        seen.add(label.strip())


def _ranked(labels: list[str], scores: list[float], top: int | None) -> list[Score]:
    ranked = sorted(zip(labels, scores, strict=True), key=lambda one: -one[1])
    return [Score(label, round(score, _DECIMALS)) for label, score in ranked[:top]]
