"""What a plan earns month by month: a plain sum, and a Monte Carlo simulation with a seed.

In each draw a quantity gets one value for all months, independently of the others.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripts.economics.plan import NONE, Z90, Channel, Plan, Quantity

MONTHS = 12
DRAWS = 100_000
Values = Mapping[str, Any]
"""By a quantity's key (Plan.quantities): an array of its draws, all of one length."""


@dataclass(frozen=True)
class Ledger:
    """US$ by month and draw (arrays of shape months x draws), of a channel or of the whole plan."""

    income: Any
    costs: Any

    @property
    def profit(self) -> Any:
        return self.income - self.costs


@dataclass(frozen=True)
class Swing:
    """US$ that are left of a year with one quantity at its 10th and its 90th percentile, all others at their median."""

    name: str
    at_low: float
    at_high: float
    source: str


def drawn(plan: Plan, draws: int, seed: int) -> dict[str, Any]:
    """`draws` values of every quantity; each has its own random stream, so that another channel does not change it."""
    import numpy

    found = list(plan.quantities())
    seeds = numpy.random.SeedSequence(seed).spawn(len(found))
    return {
        where: _draw(quantity, draws, numpy.random.default_rng(one))
        for (where, quantity, _), one in zip(found, seeds, strict=True)
    }


def _draw(quantity: Quantity, draws: int, generator: Any) -> Any:
    """A single value if its ends are equal; numpy then repeats it for every draw."""
    import numpy

    low, high = quantity.ends()
    if low == high:
        return numpy.array([low])
    if quantity.p10 is None:
        return generator.triangular(low, quantity.mode(), high, draws)
    spread = math.log(high / low) / (2 * Z90)
    return generator.lognormal(math.log(low * high) / 2, spread, draws)


def fixed(plan: Plan, share: float | None = None) -> dict[str, Any]:
    """Every quantity at one percentile (`share`: 0.1, 0.5 or 0.9), or at its likely value without `share`."""
    import numpy

    def value(quantity: Quantity) -> float:
        if share is not None or quantity.p10 is not None:
            return quantity.percentile(0.5 if share is None else share)
        return quantity.mode() if quantity.is_range else quantity.ends()[0]

    return {where: numpy.array([value(quantity)]) for where, quantity, _ in plan.quantities()}


def at_ends(plan: Plan, best: bool) -> dict[str, Any]:
    """Every quantity at the end of its range that leaves most of a year (or least), with all others at their median."""
    import numpy

    middle, found = fixed(plan, 0.5), {}
    for where, quantity, _ in plan.quantities():
        low, high = (numpy.array([end]) for end in quantity.ends())
        left = [_year(plan, {**middle, where: end}) for end in (low, high)]
        found[where] = low if (left[0] > left[1]) == best else high
    return found


def _year(plan: Plan, values: Values) -> float:
    """What is left of a year at one set of values (US$)."""
    return float(of_plan(plan, values).profit.sum(axis=0)[0])


def of_channel(channel: Channel, values: Values, months: int) -> Ledger:
    import numpy

    def of(key: str) -> Any:
        return values[f"{channel.name}: {key}"]

    month = numpy.arange(months)[:, None]
    volume = of("volume") * (1 + of("growth")) ** month
    before = volume
    for step in channel.conversion[:-1]:
        before = before * of(f"conversion: {step.name}")
    paying = before * of(f"conversion: {channel.conversion[-1].name}") if channel.conversion else before
    free = before - paying
    if channel.kind == "subscriptions":
        paid = _subscribers(paying, of("churn"), of("subscribers"))
    else:
        paid = paying * (1 - of("churn")) ** month
    costs = paid * of("cost") + free * of("free_cost") + of("fixed")
    return Ledger(*numpy.broadcast_arrays(paid * of("price") * of("share"), costs))


def _subscribers(new: Any, churn: Any, already: Any) -> Any:
    """The subscribers of each month: those of the month before who stayed, and the new ones."""
    import numpy

    found, subscribers = [], already
    for arriving in new:
        subscribers = subscribers * (1 - churn) + arriving
        found.append(subscribers)
    return numpy.stack(numpy.broadcast_arrays(*found))


def by_channel(plan: Plan, values: Values) -> dict[str, Ledger]:
    return {channel.name: of_channel(channel, values, MONTHS) for channel in plan.channels}


def of_plan(plan: Plan, values: Values) -> Ledger:
    """The income and costs of the plan, including what is paid every month."""
    channels = by_channel(plan, values).values()
    monthly = sum(values[one.name] for one in plan.costs)
    return Ledger(sum(one.income for one in channels), sum(one.costs for one in channels) + monthly)


def tornado(plan: Plan) -> list[Swing]:
    """How much each range changes what is left of a year, the largest change first."""
    import numpy

    middle, swings = fixed(plan, 0.5), []
    for where, quantity, source in plan.quantities():
        low, high = quantity.percentile(0.1), quantity.percentile(0.9)
        if low == high:
            continue
        at_low, at_high = (_year(plan, {**middle, where: numpy.array([end])}) for end in (low, high))
        swings.append(Swing(where, at_low, at_high, source))
    return sorted(swings, key=lambda one: -abs(one.at_high - one.at_low))


def funnel(channel: Channel, values: Values) -> list[tuple[str, float]]:
    """How many are left after each step in the first month, at one set of values; then how many pay after a year."""
    count = float(values[f"{channel.name}: volume"][0])
    found = [("come", count)]
    for step in channel.conversion:
        count *= float(values[f"{channel.name}: conversion: {step.name}"][0])
        found.append((step.name, count))
    if channel.churn is not NONE:
        stay = (1 - float(values[f"{channel.name}: churn"][0])) ** MONTHS
        found.append((f"still after {MONTHS} months", count * stay))
    return found
