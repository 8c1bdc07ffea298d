"""Whether files made from a GGUF compute what it does: one long prompt's logits, before the files get their name."""

from pathlib import Path
from typing import Any

from models.errors import EngineError

READ = 0.01
"""The most that logits may differ where only the number format is another: their root mean square error, relative.

Measured: 0.0012 for SmolLM2-135M in Q4_1, whose weights are in float16 then; 0.000002 where the source has float16.
"""
ROUNDED = 0.1
"""The same where a feed-forward is rounded to int8 as well. Measured: 0.017 for that model."""
SAVED = 0.001
"""The same where not even the number format is another."""
_TOKENS = 256


def prompt(sample: list[int], vocabulary: int, context_length: int) -> list[int]:
    """A text of the model's own, and behind it tokens from all over its vocabulary: 256 in all."""
    import numpy

    most = min(_TOKENS, context_length)
    arbitrary = numpy.random.default_rng(0).integers(vocabulary, size=most).tolist()
    return [*sample, *arbitrary][:most]


def check(found: Any, expected: Any, bound: float, source: Path) -> None:
    """Compare the logits of a prompt, both float32[tokens, vocabulary].

    What all logits of a token have in common does not count: no probability depends on it.

    Raises:
        EngineError: they differ by more than `bound`; says by how much.
    """
    error = difference(found, expected)
    if not error <= bound:
        raise EngineError(
            f"what was made from {source.name} computes something else: its logits differ by {error:.1%}, "
            f"at most {bound:.1%} was expected; use another engine or another file, and report this"
        )


def difference(found: Any, expected: Any) -> float:
    """The root mean square of the logits' differences, as a share of that of the expected ones."""
    import numpy

    found, expected = (values - values.mean(axis=-1, keepdims=True) for values in (found, expected))
    return float(numpy.sqrt(numpy.square(found - expected).mean() / numpy.square(expected).mean()))
