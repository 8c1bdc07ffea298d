"""What the manifest of an image classifier says beside what every model has."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from models import manifest


class Expectation(manifest.Expectation):
    """The label with the highest score, and how high it is at least."""

    best: str
    at_least: float = Field(default=0, ge=0, le=1)

    def failures(self, output: Any, metrics: dict[str, Any]) -> list[str]:
        """`output`: the labels with their scores, the highest first."""
        first = output[0]
        if first["label"] != self.best:
            return [f"has the best label {first['label']}"]
        if first["score"] < self.at_least:
            return [f"has {first['label']} with {first['score']}, less than {self.at_least}"]
        return []


class Example(manifest.Example):
    """An input of predict() and what must hold of its scores."""

    expect: Expectation


class Manifest(manifest.Manifest):
    """An image classifier. `labels`: in the order of the network's outputs."""

    task: Literal["image-classifier"]
    labels: list[str] = Field(min_length=1)
    examples: Sequence[Example] = Field(min_length=3)
