"""Vectors in a form that Cog's runtime passes on unchanged.

coglet 0.22 inspects each number of an output twice. Each time it holds the GIL and makes a dozen type checks (is it a
file, a date, a model, ...). That takes 20 microseconds per number: for a vector of 384 numbers, several times as long
as a small model computes it (crates/coglet-python/src/output.rs). The result of an array's `tolist` is inspected only
once, and only its lists: tuples go straight to the JSON encoder, which writes them as lists.

tests/template/server/test_numbers.py fails when the runtime inspects tuples too (docs/upgrading.md).
"""

from typing import Any

import numpy


class Numbers(numpy.ndarray[Any, Any]):
    """float64[texts, dimensions] with a `tolist` that returns tuples."""

    def tolist(self) -> Any:
        return tuple(tuple(row) for row in super().tolist())

    def __deepcopy__(self, memory: Any) -> "Numbers":
        return self


def numbers(vectors: Any, decimals: int) -> Numbers:
    """`vectors`, float32[texts, dimensions], rounded so that JSON has no more digits than float32 does."""
    rounded: Numbers = vectors.astype(numpy.float64).round(decimals).view(Numbers)
    return rounded
