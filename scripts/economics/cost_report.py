"""The report of a model's cost: by hardware, the cheapest choice, the load where it changes, how certain it is."""

import datetime
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models import manifest
from models.manifest import Manifest
from scripts.contract import schema
from scripts.economics import cost, fit, pictures, receipts
from scripts.economics.cost import Choice, CostError, Workload
from scripts.economics.figures import Figure, Note, Picture, Section, Table, of_range
from scripts.economics.money import Money
from scripts.economics.receipts import Measurement
from scripts.hardware.price_list import BILLINGS, STALE_DAYS, Conventions, PriceList, Range, hardware_of

_SHOWN = 14
_GIVEN = "given to this command"


@dataclass(frozen=True)
class Costs:
    """A workload, and the choices that can run it."""

    model: Manifest
    workload: Workload
    found: Sequence[Measurement]
    possible: Sequence[Choice]
    excluded: Mapping[str, str]
    conventions: Conventions

    def best(self) -> Choice:
        """The cheapest at the workload's load."""
        return cost.cheapest(self.possible, self.workload.runs, self.conventions)

    def per_run(self, choice: Choice) -> Range | None:
        """US$ a run at the workload's load."""
        dollars, runs = cost.monthly(choice, self.workload.runs, self.conventions), self.workload.runs
        if dollars is None:
            return None
        return Range(low=dollars.low / runs, likely=dollars.middle / runs, high=dollars.high / runs)


def costs(
    model: Manifest,
    prices: PriceList,
    load: float,
    sizes: Mapping[str, float],
    latency: float | None = None,
    concurrency: int | None = None,
    only: Sequence[str] = (),
) -> Costs:
    """All choices that could run `model`, for `load` predictions a month of `sizes`.

    A size that is missing from `sizes` is taken from the measurements. `only`: providers of the price list; empty: all.

    Raises:
        CostError: nothing was measured, or nothing is fast enough.
    """
    found = receipts.measurements(model)
    if not found and not sizes:
        raise CostError(
            f"nothing was measured of {model.slug}: make bench, or make cost URL=...; or give the sizes of a "
            "prediction, such as --input-tokens 200 --output-tokens 100, for an estimate"
        )
    most = concurrency or schema.max_concurrency(schema.served_class(model))
    workload = Workload({**usual_sizes(found), **sizes}, load, most, latency)
    rentable = [one for one in hardware_of(prices) if not only or one.name.split("/")[0] in only]
    possible, excluded = cost.choices(model, found, prices, workload, rentable)
    if not possible:
        reasons = [f"{name}: {why}" for name, why in excluded.items()]
        listed = "; ".join(reasons[:3]) + (f"; and {len(reasons) - 3} more" if len(reasons) > 3 else "")
        raise CostError(
            f"no hardware can run this ({listed}): allow more (--latency, --only), or measure: make cost URL=..."
        )
    return Costs(model, workload, found, possible, excluded, prices.conventions)


def usual_sizes(found: Sequence[Measurement]) -> dict[str, float]:
    """The median sizes of the first measurement."""
    points = [point for one in found[:1] for point in one.points]
    names = [name for name in receipts.SIZES if any(name in point.sizes for point in points)]
    return {name: statistics.median_high([point.sizes.get(name, 0.0) for point in points]) for name in names}


def section(costs: Costs) -> Section:
    tables = [_by_hardware(costs), _units(costs), _flips(costs), _fits(costs), _excluded(costs)]
    return Section("What a prediction costs", _notes(costs), tables=[table for table in tables if table.rows])


def _notes(costs: Costs) -> list[Note]:
    workload = costs.workload
    sizes = ", ".join(f"{size:g} {name.replace('_', ' ')}" for name, size in workload.sizes.items()) or "one size"
    limit = f", at most {workload.latency:g} s each" if workload.latency is not None else ""
    workload_text = (
        f"{costs.model.title}: {workload.runs:,.0f} predictions a month of {sizes}{limit}; up to "
        f"{workload.concurrency} at once in an instance."
    )
    notes = [Note(workload_text, f"{_GIVEN}; otherwise measured, and @concurrent in predict.py")]
    best = costs.best()
    notes.append(Note(f"The cheapest: {best.name}{', an estimate' if best.speed.is_estimate else ''}.", best.source))
    gaps = dict.fromkeys(gap for one in costs.possible for gap in one.speed.gaps(workload.sizes))
    notes += [Note(f"Not known: {gap}. make cost URL=... measures it.", gap) for gap in gaps]
    today, rented = datetime.date.today(), {one.hardware.name: one.hardware for one in costs.possible}
    if old := [one for one in rented.values() if one.age(today) > STALE_DAYS]:
        text = f"{len(old)} of these {len(rented)} prices were last seen over {STALE_DAYS} days ago: make prices."
        notes.append(Note(text, "; ".join(dict.fromkeys(f"{one.source}, {one.date}" for one in old))))
    if all(one.speed.is_estimate for one in costs.possible):
        text = "None of this hardware was measured itself: all figures below are estimates."
        notes.append(
            Note(text, "; ".join(one.source for one in costs.found) or manifest.path_of(costs.model.slug).name)
        )
    return notes


def _by_hardware(costs: Costs) -> Table:
    """A row for each hardware, the cheapest first; a column for each way of billing."""
    grouped: dict[str, list[Choice]] = {}
    for choice in sorted(costs.possible, key=lambda one: _middle(costs, one)):
        if costs.per_run(choice):
            grouped.setdefault(choice.hardware.name, []).append(choice)
    rows: list[tuple[str, Sequence[Figure | str]]] = []
    for name, choices in grouped.items():
        first, guess, start = choices[0], choices[0].speed.is_estimate, choices[0].speed.start_seconds
        cells: list[Figure | str] = [
            of_range(first.alone, "seconds", first.source, guess),
            Figure(first.streams, "count", first.source),
            "unknown" if start is None else Figure(start, "seconds", first.source, is_estimate=guess),
            Figure(first.hardware.idle_seconds, "seconds", first.source),
        ]
        for billing in BILLINGS:
            billed = next((one for one in choices if one.billing == billing), None)
            cells.append(_thousand(costs, billed) if billed else "-")
        rows.append((name, cells))
    columns = ["hardware", "a prediction alone", "at once", "cold start", "idle", *BILLINGS]
    return Table("What 1,000 predictions cost at this load, the cheapest first", columns, rows)


def _thousand(costs: Costs, choice: Choice) -> Figure:
    found = costs.per_run(choice)
    assert found is not None  # those that cannot carry the load were left out
    thousand = Range(low=found.low * 1000, likely=found.middle * 1000, high=found.high * 1000)
    return of_range(thousand, "money", choice.source, choice.speed.is_estimate)


def _middle(costs: Costs, choice: Choice) -> float:
    found = costs.per_run(choice)
    return found.middle if found else math.inf


def _units(costs: Costs) -> Table:
    best = costs.best()
    found = costs.per_run(best)
    assert found is not None  # the cheapest carries the load
    likely, low, high = (cost.per_units(one, costs.workload.sizes) for one in (found.middle, found.low, found.high))
    guess = best.speed.is_estimate
    rows = [
        (
            f"per {name}" if name != "1,000 runs" else name,
            [Figure(likely[name], "money", best.source, low[name], high[name], guess)],
        )
        for name in likely
    ]
    return Table(f"In the units in which it is sold, on {best.name}", ["unit", "cost"], rows)


def _flips(costs: Costs) -> Table:
    found = cost.flips(costs.possible, costs.conventions)
    rows: list[tuple[str, Sequence[Figure | str]]] = []
    for runs, choice in found:
        dollars = cost.monthly(choice, runs, costs.conventions)
        assert dollars is not None
        count = Figure(runs, "count", choice.source)
        rows.append((choice.name, [count, of_range(dollars, "money", choice.source, choice.speed.is_estimate)]))
    return Table("The cheapest as load grows", ["hardware, billing", "from predictions a month", "then a month"], rows)


def _fits(costs: Costs) -> Table:
    rows: list[tuple[str, Sequence[Figure | str]]] = []
    for one in costs.found:
        for streams, found in fit.by_streams(one.points).items():
            per = [
                Figure(found.per[name], "seconds", one.source) if name in found.per else "-" for name in receipts.SIZES
            ]
            off = "unknown" if found.residual is None else Figure(found.residual, "seconds", one.source)
            points = Figure(found.points, "count", one.source)
            rows.append(
                (f"{one.machine}, {streams} at once", [Figure(found.base, "seconds", one.source), *per, off, points])
            )
    names = [f"an {name.replace('_', ' ').removesuffix('s')}" for name in receipts.SIZES]
    return Table(
        "Seconds a prediction, as fitted to what was measured", ["machine", "base", *names, "residual", "points"], rows
    )


def _excluded(costs: Costs) -> Table:
    rows = [(name, [why]) for name, why in costs.excluded.items()]
    return Table("Left out", ["hardware", "because"], rows)


def picture(costs: Costs, money: Money) -> Picture:
    """The cheapest billing of each hardware, the cheapest hardware first."""
    found: dict[str, tuple[str, float, float, float, bool]] = {}
    sources = []
    for choice in sorted(costs.possible, key=lambda one: _middle(costs, one)):
        if (per_run := costs.per_run(choice)) and choice.hardware.name not in found and len(found) < _SHOWN:
            thousand = (per_run.middle * 1000, per_run.low * 1000, per_run.high * 1000)
            found[choice.hardware.name] = (choice.name, *thousand, choice.speed.is_estimate)
            sources.append(choice.source)
    return pictures.cost_by_hardware(list(found.values()), money, "; ".join(dict.fromkeys(sources)))
