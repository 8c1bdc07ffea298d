"""python -m scripts.releases [--all] [--json]

Lists the releases in the ledger: each digest that was pushed, what became of it, and which one is live where.
"""

import json
import sys
from typing import Annotated

import typer
from rich.table import Table

from models import manifest
from scripts.cli import command, console
from scripts.release import ledger
from scripts.release.ledger import Entry


def main(argv: list[str]) -> int:
    """Print the table; 0 also if nothing was released yet."""
    return command.run(releases, argv, "scripts.releases")


def releases(
    every: Annotated[bool, typer.Option("--all", help="every step, not only pushes and promotions")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """List the releases, newest first."""
    slug = manifest.selected().slug
    entries = ledger.read(slug)
    if as_json:
        print(json.dumps([entry.model_dump(exclude_defaults=True) for entry in entries], indent=2))
        return
    if not entries:
        print(f"{slug} was not released yet: make push TO=r8.im/OWNER/MODEL", file=sys.stderr)
        return
    live = {entry.to: ledger.live(entries, entry.to) for entry in entries}
    table = Table("time", "step", "result", "digest", "commit", "to", "who", "why", box=None)
    for entry in reversed(entries):
        if every or _matters(entry):
            table.add_row(*_row(entry, live[entry.to] == entry))
    console.stdout().print(table)


def _matters(entry: Entry) -> bool:
    """Whether it is a push, a promotion, a publication or a failed stage; a failed release is shown by its stage."""
    if entry.result in ("refused", "failed", "interrupted"):
        return entry.step != "release" or entry.result == "interrupted"
    return entry.result == "ok" and entry.step in ("push", "promote", "publish")


def _row(entry: Entry, is_live: bool) -> list[str]:
    result = f"{entry.result}, live" if is_live else entry.result
    commit = entry.commit[:9] + (" and changes" if entry.dirty else "")
    return [entry.time[:19], entry.step, result, entry.digest[:19], commit, entry.to, entry.who, entry.why[:60]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
