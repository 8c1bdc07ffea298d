"""What the manifest of a classifier says beside what every model has."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, field_validator

from models import manifest
from models.strict import Strict

SLOT = "{}"
"""Where a hypothesis template has the label."""


class Similarity(Strict):
    """How the cosine similarity of a text and a label's hypothesis becomes a score.

    One label of several: softmax of `scale` times it. Each by itself: the logistic function of `scale` times what it
    is above `threshold`.
    """

    scale: float = Field(default=20, gt=0)
    threshold: float = Field(default=0.15, ge=-1, le=1)


class Expectation(manifest.Expectation):
    """Of the scores. `best`: the label of each text that has the highest, `at_least` so high;
    `above`: the labels of the first text that have more than one half.
    """

    best: list[str] = []
    at_least: float = Field(default=0, ge=0, le=1)
    above: list[str] = []

    def failures(self, output: Any, metrics: dict[str, Any]) -> list[str]:
        """`output`: of each text its labels with their scores, the highest first."""
        if not isinstance(output, list) or not output or not all(output):
            return ["has no scores"]
        firsts = [scores[0] for scores in output]
        broken = []
        if self.best and [first["label"] for first in firsts] != self.best:
            broken.append(f"has the best labels {', '.join(first['label'] for first in firsts)}")
        if low := [first for first in firsts if first["score"] < self.at_least]:
            broken.append(f"has {low[0]['label']} with {low[0]['score']:.3f}, less than {self.at_least}")
        above = {one["label"] for one in output[0] if one["score"] > 0.5}
        if self.above and above != set(self.above):
            broken.append(f"has above one half: {', '.join(sorted(above)) or 'none'}")
        return broken


class Example(manifest.Example):
    """An input of predict() and what must hold of its scores."""

    expect: Expectation


class Manifest(manifest.Manifest):
    """A classifier: one with labels of its own, one of natural language inference, or an embedding model.

    `max_tokens`: of a text, where the model's own files name more; `labels`: what the last two choose from where a
    prediction names none; `hypothesis_template`: the sentence that says a label, with {} in its place;
    `similarity`: of an embedding model.
    """

    task: Literal["text-classification"]
    max_tokens: int | None = Field(default=None, ge=8)
    labels: list[str] = []
    hypothesis_template: str = "This example is {}."
    similarity: Similarity = Similarity()
    examples: Sequence[Example] = Field(min_length=3)

    @field_validator("hypothesis_template")
    @classmethod
    def _has_a_slot(cls, template: str) -> str:
        if SLOT not in template:
            raise ValueError(f"has no {SLOT} where the label goes")
        return template
