"""Seconds a prediction by its sizes: a non-negative least-squares fit for each number of predictions at once."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.economics.receipts import SIZES, Point
from scripts.hardware.price_list import Range

NOISY = 0.25
"""A residual above this share of the mean makes a fit unreliable."""


@dataclass(frozen=True)
class Fit:
    """seconds = base + the sum of per[size] * size.

    `residual`: the root mean square of the points' distances from it (seconds); None where there are no more points
    than coefficients, so that it is unknown. `fixed`: sizes that were the same in every point, so that their cost is
    part of `base`; a size that is in neither `per` nor `fixed` was never measured. `mean`: of the seconds.
    """

    base: float
    per: Mapping[str, float]
    residual: float | None
    points: int
    fixed: Mapping[str, float]
    mean: float = 0.0

    @property
    def is_noisy(self) -> bool:
        """Whether the points are so far from the fit that something else must have run at the same time."""
        return self.residual is not None and self.residual > NOISY * self.mean

    def seconds(self, sizes: Mapping[str, float]) -> Range:
        """The time of a prediction of these sizes, plus or minus the residual."""
        middle = self.base + sum(each * sizes.get(name, 0) for name, each in self.per.items())
        off = self.residual or 0
        return Range(low=max(middle - off, 0), likely=middle, high=middle + off)

    def unknown(self, sizes: Mapping[str, float]) -> list[str]:
        """The sizes whose cost was not measured."""
        return [name for name, size in sizes.items() if name not in self.per and self.fixed.get(name) != size]


def fit(points: Sequence[Point]) -> Fit:
    """The fit through points of one number of streams."""
    import numpy

    measured = {name: [point.sizes.get(name, 0.0) for point in points] for name in SIZES}
    present = [name for name in SIZES if any(name in point.sizes for point in points)]
    varied = [name for name in present if len(set(measured[name])) > 1]
    columns = numpy.array([[1.0] * len(points), *[measured[name] for name in varied]]).T
    seconds = numpy.array([point.seconds for point in points])
    coefficients = non_negative(columns, seconds)
    free = len(points) - columns.shape[1]
    off = columns @ coefficients - seconds
    return Fit(
        base=float(coefficients[0]),
        per={name: float(each) for name, each in zip(varied, coefficients[1:], strict=True)},
        residual=float(numpy.sqrt((off**2).sum() / free)) if free > 0 else None,
        points=len(points),
        fixed={name: measured[name][0] for name in present if name not in varied},
        mean=float(seconds.mean()),
    )


def non_negative(columns: Any, values: Any) -> Any:
    """The coefficients, none below 0, with the least squared error.

    There are few columns, so every subset that may be above 0 is tried; the best allowed one is the exact answer.
    """
    import numpy

    count = columns.shape[1]
    best, least = numpy.zeros(count), float((values**2).sum())
    for chosen in itertools.chain.from_iterable(itertools.combinations(range(count), n) for n in range(1, count + 1)):
        part = columns[:, chosen]
        found, _, rank, _ = numpy.linalg.lstsq(part, values, rcond=None)
        error = float(((part @ found - values) ** 2).sum())
        if rank == len(chosen) and (found >= 0).all() and error < least:
            best, least = numpy.zeros(count), error
            best[list(chosen)] = found
    return best


def by_streams(points: Sequence[Point]) -> dict[int, Fit]:
    """A fit for each number of streams that was measured, in their order."""
    counts = sorted({point.streams for point in points})
    return {count: fit([point for point in points if point.streams == count]) for count in counts}
