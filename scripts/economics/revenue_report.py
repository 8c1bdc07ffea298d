"""The report of what a plan earns: a month and a year, its channels, what matters most, its funnels, its numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scripts.economics import cost_report, pictures, price_report, simulation
from scripts.economics.cost_report import Costs
from scripts.economics.figures import Figure, Kind, Note, Section, Table
from scripts.economics.money import Money
from scripts.economics.plan import ALL, NONE, Plan, Quantity
from scripts.economics.price_report import Rows
from scripts.economics.pricing import price_for

_SHARES = ("share", "growth", "churn")
_MOST_SWINGS = 12
_MARGINS = [percent / 100 for percent in range(0, 95, 5)]


@dataclass(frozen=True)
class Earnings:
    """A plan with its simulated months; `name`: of its file."""

    plan: Plan
    name: str
    values: simulation.Values
    draws: int
    seed: int

    @property
    def source(self) -> str:
        """The source of figures that are computed from the plan."""
        return f"computed from {self.name} ({self.plan.date})"

    @property
    def simulated(self) -> str:
        """The source of figures that come from the draws."""
        return f"{self.draws:,} draws of {self.name} ({self.plan.date}), seed {self.seed}"


def earnings(plan: Plan, name: str, draws: int, seed: int) -> Earnings:
    """The plan with `draws` random values of each of its numbers."""
    return Earnings(plan, name, simulation.drawn(plan, draws, seed), draws, seed)


def sections(earned: Earnings, costs: Costs | None, margin: float, money: Money) -> list[Section]:
    found = [_summary(earned, money), _channels(earned), _matters(earned, money), *_funnels(earned, money)]
    found.append(_pricing(earned, margin, money))
    if costs:
        found.append(_costs(costs, money))
    notes = (
        [Note(f"Money in {money.currency}, {money.rate:g} for one US$.", money.rate_source)]
        if money.rate_source
        else []
    )
    return [*found, _numbers(earned, notes)]


def _summary(earned: Earnings, money: Money) -> Section:
    import numpy

    profit = simulation.of_plan(earned.plan, earned.values).profit
    low, middle, high = numpy.percentile(profit, [10, 50, 90], axis=1)
    ends = [simulation.of_plan(earned.plan, values) for values in _three(earned.plan)]
    columns = ["", "least", "likely", "most", "10th percentile", "median", "90th percentile", "chance of a loss"]
    rows: Rows = []
    for name, months in (("the first month", slice(0, 1)), (f"{simulation.MONTHS} months", slice(None))):
        plain = [float(end.profit[months].sum()) for end in ends]
        total = profit[months].sum(axis=0)
        cells = [Figure(one, "money", earned.source) for one in plain]
        cells += [Figure(float(one), "money", earned.simulated) for one in numpy.percentile(total, [10, 50, 90])]
        cells.append(Figure(float((total < 0).mean()), "share", earned.simulated))
        rows.append((name, cells))
    text = (
        "Least, likely and most are plain sums: every range at its worst end, its likely value, its best end. The "
        "percentiles are of a Monte Carlo in which all ranges are drawn independently of each other, once for all "
        "months: from a triangular distribution where limits are given, from a lognormal one where percentiles are."
    )
    picture = pictures.band(list(low), list(middle), list(high), money, earned.simulated)
    return Section(
        "What is left", [Note(text, earned.simulated)], [picture], [Table("Income less costs", columns, rows)]
    )


def _guessed(plan: Plan) -> list[str]:
    """The keys of the plan's estimates."""
    return [where for where, quantity, _ in plan.quantities() if quantity.estimate]


def _three(plan: Plan) -> list[dict[str, Any]]:
    return [simulation.at_ends(plan, best=False), simulation.fixed(plan), simulation.at_ends(plan, best=True)]


def _channels(earned: Earnings) -> Section:
    likely = simulation.by_channel(earned.plan, simulation.fixed(earned.plan))
    rows: Rows = []
    for channel in earned.plan.channels:
        ledger, source = likely[channel.name], f"{channel.source}; {earned.source}"
        month, year = (slice(0, 1), slice(None))
        amounts = [ledger.income[month], ledger.costs[month], ledger.income[year], ledger.costs[year]]
        guesses = [False, channel.costs_are_estimates] * 2
        cells = [
            Figure(float(one.sum()), "money", source, is_estimate=guess)
            for one, guess in zip(amounts, guesses, strict=True)
        ]
        rows.append((channel.name, cells))
    for paid in earned.plan.costs:
        quantity, source = paid.amount, paid.amount.source or paid.source
        amount = float(simulation.fixed(earned.plan)[paid.name][0])
        month_cost, year_cost = (Figure(amount * months, "money", source) for months in (1, simulation.MONTHS))
        rows.append((paid.name + (" (range)" if quantity.is_range else ""), ["-", month_cost, "-", year_cost]))
    columns = ["channel", "income, first month", "costs, first month", "income, 12 months", "costs, 12 months"]
    return Section("Where it comes from and goes", tables=[Table("At the likely values", columns, rows)])


def _matters(earned: Earnings, money: Money) -> Section:
    swings = simulation.tornado(earned.plan)
    if not swings:
        return Section("What matters most", [Note("Nothing: no number of the plan has a range.", earned.source)])
    middle = simulation.of_plan(earned.plan, simulation.fixed(earned.plan, 0.5)).profit.sum()
    guessed, rows = _guessed(earned.plan), []
    for swing in swings:
        source, guess = f"{swing.source}; {earned.source}", swing.name in guessed
        rows.append(
            (swing.name, [Figure(one, "money", source, is_estimate=guess) for one in (swing.at_low, swing.at_high)])
        )
    text = "What is left of a year with one number at its 10th or 90th percentile, all others at their median."
    columns = ["number", "at its 10th percentile", "at its 90th percentile"]
    picture = pictures.tornado(swings[:_MOST_SWINGS], float(middle), money, earned.source)
    return Section(
        "What matters most", [Note(text, earned.source)], [picture], [Table("Each range alone", columns, rows)]
    )


def _funnels(earned: Earnings, money: Money) -> list[Section]:
    found: list[Section] = []
    for channel in earned.plan.channels:
        if channel.conversion:
            name = f"funnel-{len(found) + 1}" if found else "funnel"
            source = f"{channel.source}; {earned.source}"
            steps = simulation.funnel(channel, simulation.fixed(earned.plan))
            picture = pictures.funnel(steps, f"{channel.name}: from free to paid, first month", money, source, name)
            rows: Rows = [(step, [Figure(count, "factor", source)]) for step, count in steps]
            table = Table("At the likely values", ["step", "people"], rows)
            found.append(Section(f"From free to paid: {channel.name}", pictures=[picture], tables=[table]))
    return found


def _pricing(earned: Earnings, margin: float, money: Money) -> Section:
    """The picture shows the first channel that costs something."""
    section, values = price_report.of_channels(earned.plan, margin), simulation.fixed(earned.plan)
    for channel in earned.plan.channels:
        sold, source = price_report.first_month(channel, values), f"{channel.source}; {earned.source}"
        if sold.spent and sold.units:
            prices = [price_for(one, sold.spent, sold.units, sold.share) for one in _MARGINS]
            name = f"{channel.name} (estimate)" if channel.costs_are_estimates else channel.name
            picture = pictures.price_against_margin(name, _MARGINS, prices, sold.price, money, source)
            return Section(section.title, pictures=[picture], tables=section.tables)
    return section


def _costs(costs: Costs, money: Money) -> Section:
    section = cost_report.section(costs)
    return Section(section.title, section.notes, [cost_report.picture(costs, money)], section.tables)


def _numbers(earned: Earnings, notes: Sequence[Note]) -> Section:
    """Numbers that the plan leaves out are not shown."""
    given = [one for one in earned.plan.quantities() if one[1] is not NONE and one[1] is not ALL]
    rows: Rows = [(where, [_figure(where, quantity, source)]) for where, quantity, source in given]
    return Section("What the plan says", notes, tables=[Table("Every number of the plan", ["number", "value"], rows)])


def _figure(where: str, quantity: Quantity, source: str) -> Figure:
    key = where.rpartition(": ")[2]
    low, high = quantity.ends()
    form = "" if not quantity.is_range else ", 10th and 90th percentile" if quantity.p10 is not None else ", limits"
    middle = quantity.percentile(0.5) if quantity.p10 is not None else quantity.mode() if quantity.is_range else low
    is_share = key in _SHARES or "conversion: " in where
    kind: Kind = "share" if is_share else "factor" if key in ("volume", "subscribers") else "money"
    return Figure(middle, kind, source + form, low, high, quantity.estimate)
