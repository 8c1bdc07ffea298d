"""python -m scripts.prices [--json]

Shows the prices and limits of hardware, from scripts/hardware/prices.yaml, with their age, source and confidence. Warns
of prices that are over 90 days old.
"""

import datetime
import json
import sys
from typing import Annotated

import typer

from scripts.cli import command, console
from scripts.hardware import price_list
from scripts.hardware.price_list import STALE_DAYS, Hardware


def main(argv: list[str]) -> int:
    """Show the prices; 0 even if some are old."""
    return command.run(prices, argv, "scripts.prices")


def prices(as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False) -> None:
    """Show the prices, and warn of old ones."""
    today, known = datetime.date.today(), price_list.hardware_of(price_list.shipped())
    if as_json:
        print(json.dumps([_row(one, today) for one in known], indent=2))
    else:
        _show(known, today)
    if old := [one for one in known if one.age(today) > STALE_DAYS]:
        sources = sorted({one.source for one in old})
        print(
            f"{len(old)} of {len(known)} prices were last seen over {STALE_DAYS} days ago: read them again at "
            f"{', '.join(sources)}, then change price and date in {price_list.PATH}",
            file=sys.stderr,
        )


def _row(one: Hardware, today: datetime.date) -> dict[str, object]:
    return {
        "hardware": one.name,
        "dollars_a_second": one.dollars_a_second,
        "dollars_an_hour": round(one.dollars_a_second * 3600, 6),
        "cores": one.cores,
        "memory_gb": one.memory_gb,
        "billing": list(one.provider.billing),
        "max_instances": one.provider.max_instances,
        "source": one.source,
        "date": one.date.isoformat(),
        "age_days": one.age(today),
        "confidence": one.confidence,
    }


def _show(known: list[Hardware], today: datetime.date) -> None:
    from rich.table import Table

    table = Table("hardware", "US$/hour", "memory", "billed", "at most", "seen", "days ago", "confidence", box=None)
    for one in known:
        age, most = one.age(today), one.provider.max_instances
        table.add_row(
            one.name,
            f"{one.dollars_a_second * 3600:.4f}",
            f"{one.memory_gb:g} GB" + (" GPU" if one.gpu else f", {one.cores} cores"),
            ", ".join(one.provider.billing),
            f"{most} instance" if most else "",
            one.date.isoformat(),
            f"{age}{' (old)' if age > STALE_DAYS else ''}",
            one.confidence,
        )
    output = console.stdout()
    output.print(table)
    for source in dict.fromkeys(one.source for one in known):
        output.print(source, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
