"""The report of what to charge: on one hardware at one load, and in each channel of a plan by itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from scripts.economics import cost, simulation
from scripts.economics.cost import Choice, CostError
from scripts.economics.cost_report import Costs
from scripts.economics.figures import Figure, Note, Section, Table
from scripts.economics.plan import UNITS, Channel, Plan
from scripts.economics.pricing import break_even, break_even_volume, left, price_for
from scripts.hardware.price_list import Range

MARGINS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8)
_LOADS = (0.1, 1, 10)
Rows = list[tuple[str, Sequence[Figure | str]]]


def chosen(costs: Costs, hardware: str, billing: str, where: str = "--hardware") -> tuple[Choice, Range]:
    """The cheapest choice with this hardware and billing ("": any), and its US$ a month.

    `where`: the option or the key that names them, for errors.

    Raises:
        CostError: there is none; says why.
    """
    fitting = [one for one in costs.possible if hardware in ("", one.hardware.name) and billing in ("", one.billing)]
    if not fitting:
        why = (
            costs.excluded.get(f"{hardware}, {billing}")
            or costs.excluded.get(hardware)
            or "this hardware is not offered with this billing"
        )
        raise CostError(f"{where}: {hardware or 'any'}, {billing or 'any'}: {why}: choose another hardware or billing")
    try:
        choice = cost.cheapest(fitting, costs.workload.runs, costs.conventions)
    except CostError as error:
        raise CostError(f"{where}: {hardware or 'any'}, {billing or 'any'}: {error}") from error
    spent = cost.monthly(choice, costs.workload.runs, costs.conventions)
    assert spent is not None  # the cheapest carries the load
    return choice, spent


def of_predictions(
    costs: Costs, choice: Choice, spent: Range, margin: float, share: float, price: float | None
) -> Section:
    """The price of a prediction on `choice`, which costs `spent` a month; `price`: a price to be judged."""
    asked = price if price is not None else price_for(margin, spent.middle, costs.workload.runs, share)
    return Section(
        "What to charge for a prediction",
        [
            Note(
                f"{costs.model.title} on {choice.name}, {costs.workload.runs:,.0f} predictions a month, of whose price "
                f"{share:.0%} is yours.",
                choice.source,
            )
        ],
        tables=[
            _for_margins(costs, choice, spent, sorted({*MARGINS, margin}), share),
            _earned(costs, choice, asked, share),
        ],
    )


def _for_margins(costs: Costs, choice: Choice, spent: Range, margins: Sequence[float], share: float) -> Table:
    rows: Rows = []
    for margin in margins:
        likely, low, high = (
            price_for(margin, one, costs.workload.runs, share) for one in (spent.middle, spent.low, spent.high)
        )
        price = Figure(likely, "money", choice.source, low, high, choice.speed.is_estimate)
        even = break_even(likely, share, lambda units: _likely(costs, choice, units))
        rows.append((f"{margin:.0%}", [price, _load(even, choice)]))
    return Table("The price for a margin", ["margin", "a prediction", "covers its costs from a month"], rows)


def _earned(costs: Costs, choice: Choice, price: float, share: float) -> Table:
    rows: Rows = []
    for runs in dict.fromkeys(max(round(costs.workload.runs * times), 1) for times in _LOADS):
        spent = cost.monthly(choice, runs, costs.conventions)
        if spent is None:
            continue
        likely, worst, best = (left(price, share, runs, one) for one in (spent.middle, spent.high, spent.low))
        rows.append(
            (
                f"{runs:,.0f} predictions",
                [
                    Figure(price * runs, "money", f"price times predictions; {choice.source}"),
                    Figure(likely, "money", choice.source, worst, best, choice.speed.is_estimate),
                ],
            )
        )
    return Table(f"What US$ {price:.6g} a prediction earns a month", ["load", "paid", "left for you"], rows)


def _likely(costs: Costs, choice: Choice, units: float) -> float | None:
    found = cost.monthly(choice, units, costs.conventions)
    return found.middle if found else None


def _load(even: float | None, choice: Choice) -> Figure | str:
    return "never" if even is None else Figure(even, "count", choice.source, is_estimate=choice.speed.is_estimate)


@dataclass(frozen=True)
class Sold:
    """A channel's sales in its first month (US$), and the `units`. `each`: the cost of a unit; `spent`: of all."""

    price: float
    share: float
    units: float
    each: float
    spent: float
    left: float


def first_month(channel: Channel, values: simulation.Values) -> Sold:
    """A channel's first month at one set of values."""
    ledger = simulation.of_channel(channel, values, months=1)
    income, spent = float(ledger.income[0, 0]), float(ledger.costs[0, 0])
    price, share, each = (float(values[f"{channel.name}: {key}"][0]) for key in ("price", "share", "cost"))
    units = income / (price * share) if income else 0.0
    return Sold(price, share, units, each, spent, income - spent)


def of_channels(plan: Plan, margin: float) -> Section:
    """The price, the break-even and what is left of each channel by itself, at the likely values of its first month."""
    values = simulation.fixed(plan)
    rows: Rows = []
    for channel in plan.channels:
        sold, guess = first_month(channel, values), channel.costs_are_estimates
        source = f"{channel.source}; its first month at the likely values of its ranges"
        name = f"{channel.name}, a {UNITS[channel.kind].removesuffix('s')}"
        if not sold.units:
            rows.append((name, ["nothing is sold"] * 3))
            continue
        even = break_even_volume(sold.price, sold.share, sold.each, sold.spent - sold.units * sold.each)
        asked = price_for(margin, sold.spent, sold.units, sold.share)
        cells = [
            Figure(asked, "money", source, is_estimate=guess),
            "never" if even is None else Figure(even, "factor", source, is_estimate=guess),
            Figure(sold.left, "money", source, is_estimate=guess),
        ]
        rows.append((name, cells))
    columns = ["channel", f"price for {margin:.0%} margin", "units that cover its costs", "left at the plan's price"]
    return Section("What to charge in each channel", tables=[Table("Each channel by itself, a month", columns, rows)])
