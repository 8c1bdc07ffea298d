"""python -m scripts.cost [--load 100000] [--latency 5] [--input-tokens 200] [--url http://127.0.0.1:5001] [--json]

Shows what a prediction of the selected model costs, by hardware and billing, from measurements: the receipts in
benchmarks/, the staging runs in releases/, and with --url a measurement of a running Cog server by input and output
length, which becomes a receipt. Hardware that was not measured is estimated, and marked as an estimate.
"""

import sys
from typing import Annotated

import typer

from models import manifest
from scripts.cli import command
from scripts.contract import schema
from scripts.economics import cost_report, figures, live
from scripts.economics.money import money_in
from scripts.economics.options import Currency, Latency, Load, Locale, Only, Rate, RateSource, Size, sizes_of
from scripts.hardware import price_list


def main(argv: list[str]) -> int:
    return command.run(cost, argv, "scripts.cost")


def cost(
    load: Load = 100_000,
    latency: Latency = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="predictions at once; by default as in predict.py")
    ] = None,
    input_tokens: Size = None,
    output_tokens: Size = None,
    images: Size = None,
    audio_seconds: Size = None,
    url: Annotated[str, typer.Option(help="a Cog server of this model: measure it first")] = "",
    hardware: Annotated[str, typer.Option(help="where that server runs, as PROVIDER/HARDWARE")] = "",
    only: Only = "",
    currency: Currency = "USD",
    rate: Rate = None,
    rate_source: RateSource = "",
    locale: Locale = "en_US",
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Show what a prediction costs."""
    model, prices = manifest.selected(), price_list.shipped()
    money = money_in(currency, rate, rate_source, locale)
    where = price_list.find(prices, hardware) if hardware else None
    if url:
        slots = concurrency or schema.max_concurrency(schema.served_class(model))
        path = live.measure(url, model, sorted({1, min(4, slots), slots}), where)
        print(f"wrote {path}", file=sys.stderr)
    sizes = sizes_of(input_tokens, output_tokens, images, audio_seconds)
    named = price_list.providers(prices, only)
    section = cost_report.section(cost_report.costs(model, prices, load, sizes, latency, concurrency, named))
    figures.print_section(section, money, as_json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
