"""The keys that only the manifest of a classifier has."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, field_validator

from models import manifest
from models.strict import Strict

SLOT = "{}"
"""The placeholder for the label in a hypothesis template."""


class Similarity(Strict):
    """How the cosine similarity of a text and a label's hypothesis becomes a score.

    If one label fits: softmax(scale * similarity) over the labels. If several may fit:
    sigmoid(scale * (similarity - threshold)) for each.
    """

    scale: float = Field(default=20, gt=0)
    threshold: float = Field(default=0.15, ge=-1, le=1)


class Expectation(manifest.Expectation):
    """What must be true of the scores.

    `best`: for each text, the label with the highest score, which is at least `at_least`; `above`: all labels of the
    first text with a score above 0.5.
    """

    best: list[str] = []
    at_least: float = Field(default=0, ge=0, le=1)
    above: list[str] = []

    def failures(self, output: Any, metrics: dict[str, Any]) -> list[str]:
        """`output`: for each text, its labels with their scores, the highest score first."""
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
    """An input of predict() and what must be true of its scores."""

    expect: Expectation


class Manifest(manifest.Manifest):
    """A classifier: a model with its own labels, a model of natural language inference, or an embedding model.

    `max_tokens`: the most tokens of a text, if less than the model's files allow; `labels`: the labels that the last
    two kinds choose from if a prediction sends none; `hypothesis_template`: a sentence with {} where the label goes;
    `similarity`: for an embedding model.
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
