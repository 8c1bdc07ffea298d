"""The cost of predictions a month: by hardware, billing and load.

Predictions are assumed to arrive independently of each other (a Poisson process).

- public: only the seconds of each prediction are billed. Replicate bills them to whoever runs the model.
- always-on: as many instances as the load needs run all month.
- scale-to-zero: an instance runs from the start of a prediction until no request has come for `idle_seconds`. With s
  seconds a prediction and r predictions a second, it is up for the share 1 - exp(-r (s + idle)) of the month, and is
  started r exp(-r (s + idle)) times a second; each start takes `start_seconds`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.errors import TemplateError
from models.manifest import Manifest
from scripts.economics.receipts import Measurement
from scripts.economics.speed import FromDataSheet, Speed, speed_on
from scripts.hardware.price_list import Billing, Conventions, Hardware, PriceList, Range

LEAST_RUNS, MOST_RUNS = 10, 10**9
_STEPS_A_DECADE = 20


class CostError(TemplateError):
    """The cost of a prediction cannot be computed."""


@dataclass(frozen=True)
class Workload:
    """`sizes` of a prediction; `runs` a month; `latency`: the longest that a prediction may take (s), None for any.

    `concurrency`: the most predictions at once in an instance.
    """

    sizes: Mapping[str, float]
    runs: float
    concurrency: int
    latency: float | None = None


@dataclass(frozen=True)
class Choice:
    """Hardware with one way of billing. `streams`: predictions at once in a fully used instance.

    `alone`, `together`: seconds of a prediction by itself, and of one in a fully used instance.
    """

    hardware: Hardware
    billing: Billing
    speed: Speed
    streams: int
    alone: Range
    together: Range

    @property
    def name(self) -> str:
        return f"{self.hardware.name}, {self.billing}"

    @property
    def source(self) -> str:
        """Where its price and its seconds come from."""
        one = self.hardware
        return f"price: {one.source}, {one.date}, confidence {one.confidence}; seconds: {self.speed.source}"


def choices(
    model: Manifest,
    found: Sequence[Measurement],
    prices: PriceList,
    workload: Workload,
    rentable: Sequence[Hardware],
) -> tuple[list[Choice], dict[str, str]]:
    """Every choice that is fast enough, and why the other hardware is not a choice."""
    possible, excluded = [], {}
    for hardware in rentable:
        speed = speed_on(hardware, model, found, prices)
        if isinstance(speed, str):
            excluded[hardware.name] = speed
            continue
        if isinstance(speed, FromDataSheet) and "output_tokens" not in workload.sizes:
            excluded[hardware.name] = "not measured, and only tokens can be estimated: make cost URL=... on it"
            continue
        streams = best_streams(speed, workload)
        if not streams:
            alone = speed.seconds(workload.sizes, 1)
            excluded[hardware.name] = f"up to {alone.high:.3g} s a prediction, over {workload.latency:g} s"
            continue
        alone, together = speed.seconds(workload.sizes, 1), speed.seconds(workload.sizes, streams)
        for billing in hardware.provider.billing:
            if billing == "scale-to-zero" and speed.start_seconds is None:
                excluded[f"{hardware.name}, {billing}"] = "no cold start was measured: make bench"
                continue
            possible.append(Choice(hardware, billing, speed, streams, alone, together))
    return possible, excluded


def best_streams(speed: Speed, workload: Workload) -> int:
    """The number of streams with the most predictions a second, of those that are certainly fast enough; 0: none is."""
    allowed = [count for count in {1, *speed.streams} if count <= workload.concurrency]
    if workload.latency is not None:
        allowed = [count for count in allowed if speed.seconds(workload.sizes, count).high <= workload.latency]
    return min(allowed, key=lambda count: speed.seconds(workload.sizes, count).middle / count, default=0)


def monthly(choice: Choice, runs: float, conventions: Conventions) -> Range | None:
    """US$ a month, from the fast end of its range to the slow one; None if the provider has too few instances."""
    ends = [
        dollars_a_month(choice, runs, alone, together, conventions)
        for alone, together in (
            (choice.alone.low, choice.together.low),
            (choice.alone.middle, choice.together.middle),
            (choice.alone.high, choice.together.high),
        )
    ]
    low, likely, high = ends
    return None if low is None or likely is None or high is None else Range(low=low, likely=likely, high=high)


def dollars_a_month(
    choice: Choice, runs: float, alone: float, together: float, conventions: Conventions
) -> float | None:
    """US$ a month where a prediction takes `alone` seconds by itself, and `together` in a fully used instance."""
    hardware, month = choice.hardware, conventions.hours_a_month.value * 3600
    if choice.billing == "public":
        return runs * alone * hardware.dollars_a_second
    load = runs * together / (choice.streams * conventions.utilisation.value * month)
    instances = max(math.ceil(round(load, 9)), 1)
    if hardware.provider.max_instances and instances > hardware.provider.max_instances:
        return None
    seconds = instances * month
    if choice.billing == "scale-to-zero" and instances == 1:
        seconds = seconds_up(runs / month, alone + hardware.idle_seconds) * month
        if hardware.provider.bills_setup:
            starts = runs - seconds / month * runs
            seconds += starts * (choice.speed.start_seconds or 0)
    return seconds * hardware.dollars_a_second


def seconds_up(rate: float, after: float) -> float:
    """The share of the time that an instance is up if it stops `after` seconds after its last prediction."""
    return -math.expm1(-rate * after)


def cheapest(possible: Sequence[Choice], runs: float, conventions: Conventions) -> Choice:
    """The choice that likely costs least at this load.

    Raises:
        CostError: no choice can carry the load.
    """
    priced = [(monthly(one, runs, conventions), one) for one in possible]
    affordable = [(cost.middle, number) for number, (cost, _) in enumerate(priced) if cost is not None]
    if not affordable:
        raise CostError(
            f"{runs:,.0f} predictions a month are more than this hardware can serve: lower the load, or allow other "
            "hardware"
        )
    return priced[min(affordable)[1]][1]


def flips(possible: Sequence[Choice], conventions: Conventions) -> list[tuple[int, Choice]]:
    """The load (runs a month) from which each choice is the cheapest, the lowest load first; exact to one run."""
    steps = int(math.log10(MOST_RUNS / LEAST_RUNS) * _STEPS_A_DECADE)
    loads = [round(LEAST_RUNS * 10 ** (step / _STEPS_A_DECADE)) for step in range(steps + 1)]
    found: list[tuple[int, Choice]] = []
    for below, load in zip([loads[0], *loads], loads, strict=False):
        try:
            best = cheapest(possible, load, conventions)
        except CostError:
            break
        if not found:
            found.append((load, best))
        while found[-1][1] != best:
            first = _first(possible, found[-1][1], max(below, found[-1][0]), load, conventions)
            found.append((first, cheapest(possible, first, conventions)))
    return found


def _first(possible: Sequence[Choice], before: Choice, low: int, high: int, conventions: Conventions) -> int:
    """The first load between `low` and `high` at which another choice than `before` is the cheapest."""
    while high - low > 1:
        middle = (low + high) // 2
        if cheapest(possible, middle, conventions) == before:
            low = middle
        else:
            high = middle
    return high


def per_units(dollars: float, sizes: Mapping[str, float]) -> dict[str, float]:
    """US$ a run, converted to the units in which it is sold; only those that `sizes` has a count for."""
    units = {"run": dollars, "1,000 runs": dollars * 1000}
    if tokens := sizes.get("input_tokens", 0) + sizes.get("output_tokens", 0):
        units["million tokens"] = dollars / tokens * 1e6
    if images := sizes.get("images"):
        units["image"] = dollars / images
    if seconds := sizes.get("audio_seconds"):
        units["audio hour"] = dollars / seconds * 3600
    return units
