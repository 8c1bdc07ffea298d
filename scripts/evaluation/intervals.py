"""Confidence intervals by the bootstrap: how much a figure would vary with other lines of the same kind.

https://docs.scipy.org/doc/scipy/reference/generated/scipy.stats.bootstrap.html
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from scripts.evaluation.metrics import Array, Metric

CONFIDENCE = 0.95
_RESAMPLES = 2000
_SEED = 0  # the same figures give the same interval
Parts = Sequence[tuple[Any, ...]]
"""The results of `Metric.parts`, one for each line."""


@dataclass(frozen=True)
class Estimate:
    """A figure, and the bounds of its interval with `CONFIDENCE`."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference(Estimate):
    """The second model's figure minus the first's."""

    @property
    def is_real(self) -> bool:
        """Whether zero is outside the interval, so that chance in the choice of lines does not explain it."""
        return self.low > 0 or self.high < 0


def estimate(metric: Metric, parts: Parts) -> Estimate:
    """The metric over all lines, with its interval from the bootstrap (percentiles).

    If every line has the same score, so has every sample, and the bootstrap gives no interval. For lines that are right
    or wrong, the exact binomial interval (Clopper-Pearson) is used then; for others there are no bounds.
    """
    columns = _columns(parts)
    value = metric.total(*columns)
    if metric.is_yes_or_no and value in (0, 1):
        from scipy.stats import binomtest

        exact = binomtest(round(value * len(parts)), len(parts)).proportion_ci(CONFIDENCE)
        return Estimate(value, float(exact.low), float(exact.high))
    low, high = _bounds(len(parts), lambda chosen: metric.total(*(column[chosen] for column in columns)))
    return Estimate(value, low, high) if low < high else Estimate(value, -math.inf, math.inf)


def difference(metric: Metric, first: Parts, second: Parts) -> Difference:
    """The second model's figure minus the first's on the same lines, with the paired bootstrap.

    Each sample uses the same lines for both models, so that the difficulty of lines cancels out.
    """
    ours, theirs = _columns(first), _columns(second)

    def between(chosen: Array) -> float:
        return metric.total(*(column[chosen] for column in theirs)) - metric.total(*(column[chosen] for column in ours))

    return Difference(between(numpy.arange(len(first))), *_bounds(len(first), between))


def _columns(parts: Parts) -> list[Array]:
    return [numpy.array(column) for column in zip(*parts, strict=True)]


def _bounds(lines: int, figure: Callable[[Array], float]) -> tuple[float, float]:
    """The interval of `figure`, which is computed from the positions of chosen lines; unbounded for a single line."""
    from scipy.stats import bootstrap

    if lines < 2:
        return -math.inf, math.inf
    result = bootstrap(
        (numpy.arange(lines),),
        lambda chosen: figure(chosen.astype(int)),
        n_resamples=_RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        vectorized=False,
        rng=numpy.random.default_rng(_SEED),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)
