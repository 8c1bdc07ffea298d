"""python -m scripts.price [--margin 0.5] [--price 0.005] [--load 100000] [--hardware replicate/cpu] [--plan PLAN]

Shows what to charge for a prediction of the selected model: the price for a margin, the load from which a price covers
its costs, and what it earns. With --plan, the same for each channel of a plan by itself.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from models import manifest
from scripts.cli import command
from scripts.economics import cost_report, figures, measured_costs, plan, price_report
from scripts.economics.money import money_in
from scripts.economics.options import Currency, Latency, Load, Locale, Rate, RateSource, Size, sizes_of
from scripts.hardware import price_list


def main(argv: list[str]) -> int:
    return command.run(price, argv, "scripts.price")


def price(
    margin: Annotated[float, typer.Option(help="the share of the income that is to remain, 0 to 0.99")] = 0.5,
    asked: Annotated[float | None, typer.Option("--price", min=0, help="US$ a prediction: what does it earn?")] = None,
    share: Annotated[float, typer.Option(help="the share of the price that is yours")] = 1.0,
    load: Load = 100_000,
    hardware: Annotated[str, typer.Option(help="PROVIDER/HARDWARE; by default the cheapest")] = "",
    billing: Annotated[str, typer.Option(help=", ".join(price_list.BILLINGS))] = "",
    latency: Latency = None,
    input_tokens: Size = None,
    output_tokens: Size = None,
    images: Size = None,
    audio_seconds: Size = None,
    plan_path: Annotated[str, typer.Option("--plan", help="a plan: show each of its channels")] = "",
    currency: Currency = "USD",
    rate: Rate = None,
    rate_source: RateSource = "",
    locale: Locale = "en_US",
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Show what to charge."""
    prices, money = price_list.shipped(), money_in(currency, rate, rate_source, locale)
    if billing and billing not in price_list.BILLINGS:
        raise command.UsageError(f"--billing: {billing!r} is not one of {', '.join(price_list.BILLINGS)}")
    if hardware:
        price_list.find(prices, hardware)
    if plan_path:
        path = Path(plan_path)
        section = price_report.of_channels(measured_costs.resolved(plan.read(path), path, prices), margin)
    else:
        sizes = sizes_of(input_tokens, output_tokens, images, audio_seconds)
        costs = cost_report.costs(manifest.selected(), prices, load, sizes, latency)
        choice, spent = price_report.chosen(costs, hardware, billing)
        section = price_report.of_predictions(costs, choice, spent, margin, share, asked)
    figures.print_section(section, money, as_json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
