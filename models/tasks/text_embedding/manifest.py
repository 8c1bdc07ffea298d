"""The keys that only the manifest of an embedding model has."""

import math
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from models import manifest
from models.strict import Strict


class Nearest(Strict):
    """Indexes of an example's texts, from 0: of all texts, `to` is the nearest to `of`."""

    of: int = Field(ge=0)
    to: int = Field(ge=0)


class Expectation(manifest.Expectation):
    """What must be true of the vectors: their `count`, their `dimensions`, and `nearest` by cosine similarity."""

    count: int | None = Field(default=None, ge=1)
    dimensions: int | None = Field(default=None, ge=1)
    nearest: list[Nearest] = []

    def failures(self, output: Any, metrics: dict[str, Any]) -> list[str]:
        """`output`: the vectors, as lists of numbers."""
        vectors = output.get("embeddings") if isinstance(output, dict) else None
        if not vectors:
            return ["has no embeddings"]
        widths = {len(vector) for vector in vectors}
        broken = []
        if self.count and len(vectors) != self.count:
            broken.append(f"has {len(vectors)} vectors, not {self.count}")
        if self.dimensions and widths != {self.dimensions}:
            broken.append(f"has vectors of {', '.join(map(str, sorted(widths)))} dimensions, not {self.dimensions}")
        for wanted in self.nearest:
            if max(wanted.of, wanted.to) >= len(vectors):
                broken.append(f"has {len(vectors)} vectors, none at {max(wanted.of, wanted.to)}")
            elif (found := _nearest(vectors, wanted.of)) != wanted.to:
                broken.append(f"has the vector {found} nearest to {wanted.of}, not {wanted.to}")
        return broken


class Example(manifest.Example):
    """An input of predict() and what must be true of its vectors."""

    expect: Expectation


class Manifest(manifest.Manifest):
    """An embedding model.

    `max_tokens`: the most tokens of a text, if less than the model's files allow; `query_prefix` and `passage_prefix`:
    the text put before an input of that type, instead of the prompts in config_sentence_transformers.json.
    """

    task: Literal["text-embedding"]
    max_tokens: int | None = Field(default=None, ge=8)
    query_prefix: str | None = None
    passage_prefix: str | None = None
    examples: Sequence[Example] = Field(min_length=3)


def _nearest(vectors: list[list[float]], index: int) -> int:
    others = [other for other in range(len(vectors)) if other != index]
    return max(others, key=lambda other: _cosine(vectors[index], vectors[other]), default=index)


def _cosine(left: list[float], right: list[float]) -> float:
    lengths = sum(value * value for value in left) * sum(value * value for value in right)
    dot = sum(a * b for a, b in zip(left, right, strict=True))
    return float(dot / math.sqrt(max(lengths, 1e-24)))
