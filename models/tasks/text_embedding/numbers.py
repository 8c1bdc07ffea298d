"""Vectors in an answer, in a form that Cog's runtime hands on as it is.

coglet 0.22 looks at each number of an output by itself, twice, and asks Python a dozen questions about it under the GIL
(whether it is a file, a date, a model, ...): 20 microseconds a number, which for a vector of 384 is several times what
a small model takes to compute it (crates/coglet-python/src/output.rs). What an array's `tolist` gives it looks through
only once, and only lists: tuples go straight to the JSON encoder, which writes them as lists.

tests/template/server/test_embedding.py fails on the day the runtime looks into tuples.
"""

from typing import Any

import numpy


class Numbers(numpy.ndarray[Any, Any]):
    """float64[texts, dimensions], whose `tolist` gives tuples."""

    def tolist(self) -> Any:
        return tuple(tuple(row) for row in super().tolist())

    def __deepcopy__(self, memory: Any) -> "Numbers":
        return self


def numbers(vectors: Any, decimals: int) -> Numbers:
    """`vectors`, float32[texts, dimensions], rounded, so that JSON has no more digits than they do."""
    rounded: Numbers = vectors.astype(numpy.float64).round(decimals).view(Numbers)
    return rounded
