"""Checks that files made from a GGUF compute what it does, by the logits of a long prompt, before they are used."""

from pathlib import Path
from typing import Any

from models.errors import EngineError

READ = 0.01
"""The most that logits may differ if only the number format changes: relative root mean square error.

Measured: 0.0012 for SmolLM2-135M from Q4_1 to float16; 0.000002 if the source has float16.
"""
ROUNDED = 0.05
"""The same if the embedding or the last matrix is also rounded to bfloat16. Measured: 0.008 for that model."""
SAVED = 0.001
"""The same if the number format does not change."""
_TOKENS = 256


def prompt(beginning: list[int], vocabulary: int, context_length: int) -> list[int]:
    """A beginning, such as the token that every text begins with, then random tokens of a vocabulary: 256 in all."""
    import numpy

    most = min(_TOKENS, context_length)
    arbitrary = numpy.random.default_rng(0).integers(vocabulary, size=most).tolist()
    return [*beginning, *arbitrary][:most]


def check(found: Any, expected: Any, bound: float, source: Path) -> None:
    """Compare the logits of a prompt, both float32[tokens, vocabulary].

    A constant added to all logits of a token is ignored, as it does not change the probabilities.

    Raises:
        EngineError: they differ by more than `bound`; says by how much.
    """
    error = difference(found, expected)
    if not error <= bound:
        raise EngineError(
            f"the files made from {source.name} compute something else: their logits differ by {error:.1%}, "
            f"at most {bound:.1%} was expected; use another engine or another file, and report this"
        )


def difference(found: Any, expected: Any) -> float:
    """The root mean square of the logits' differences, divided by that of the expected logits."""
    import numpy

    found, expected = (values - values.mean(axis=-1, keepdims=True) for values in (found, expected))
    return float(numpy.sqrt(numpy.square(found - expected).mean() / numpy.square(expected).mean()))
