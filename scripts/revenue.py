"""python -m scripts.revenue PLAN [--out FOLDER] [--seed 1] [--currency EUR --rate 0.9 --rate-source "..."]

Computes what a plan earns in a month and in a year, how certain that is, what matters most, and what to charge. Writes
one HTML page that opens offline, its figures as CSV and JSON, its pictures as SVG. examples/plans/ has plans to start
from.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from models.manifest import PROJECT
from scripts.cli import command
from scripts.economics import figures, measured_costs, page, plan, revenue_report, simulation
from scripts.economics.money import money_in
from scripts.economics.options import Currency, Locale, Rate, RateSource
from scripts.hardware import price_list


def main(argv: list[str]) -> int:
    return command.run(revenue, argv, "scripts.revenue")


def revenue(
    plan_path: Annotated[str, typer.Argument(metavar="PLAN", help="a YAML file, as in examples/plans/")],
    out: Annotated[str, typer.Option(help="the folder of the report; by default reports/PLAN")] = "",
    seed: Annotated[int, typer.Option(min=0)] = 1,
    draws: Annotated[int, typer.Option(min=100)] = simulation.DRAWS,
    margin: Annotated[float, typer.Option(help="the share of the income that is to remain, 0 to 0.99")] = 0.5,
    currency: Currency = "USD",
    rate: Rate = None,
    rate_source: RateSource = "",
    locale: Locale = "en_US",
) -> None:
    """Show what a plan earns, and write its report."""
    money, prices = money_in(currency, rate, rate_source, locale), price_list.shipped()
    if not plan_path:
        raise command.UsageError("which plan? make revenue PLAN=examples/plans/sketch.yaml")
    path = Path(plan_path)
    planned = measured_costs.resolved(plan.read(path), path, prices)
    earned = revenue_report.earnings(planned, path.name, draws, seed)
    sections = revenue_report.sections(earned, measured_costs.costs_of(planned, path, prices), margin, money)
    figures.show(sections[:2], money)
    written = page.write(planned.title, sections, money, Path(out) if out else PROJECT / "reports" / path.stem)
    print(f"wrote {written}, figures.csv, figures.json and the pictures beside it", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
