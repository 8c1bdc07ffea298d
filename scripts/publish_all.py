"""python -m scripts.publish_all PLAN [--dry-run]

Does everything in a plan, for one model or for two that link to each other: the version and the page on Replicate, the
repository with card and weights, and the demo on the Hub. Every manifest and licence is checked before anything becomes
public. The first step that fails stops it; the ledger has what was done, and the next run continues.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from scripts.cli import command, console
from scripts.hub import steps, tiers
from scripts.hub.steps import Step
from scripts.release.release import say


def main(argv: list[str]) -> int:
    return command.run(publish_all, argv, "scripts.publish_all")


def publish_all(
    plan: Annotated[Path, typer.Argument(help="a plan, like examples/publication/smollm2.yaml")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what is done, and what is left")] = False,
) -> None:
    """Publish everything that a plan names."""
    found = steps.of(tiers.read(plan))
    if dry_run:
        _show(found)
        return
    try:
        for step in found:
            if step.is_done:
                say(f"{step.to}: the {step.what} is up to date")
            else:
                say(f"{step.to}: {step.what} ...")
                step.act()
    finally:
        _show(found)


def _show(found: list[Step]) -> None:
    table = Table("model", "what", "where", "the ledger says", box=None)
    for step in found:
        table.add_row(step.tier.model, step.what, step.to, _state(step))
    console.stdout().print(table)


def _state(step: Step) -> str:
    last = step.last
    if not last:
        return "not done yet"
    if step.is_done or (last.result == "ok" and step.name != steps.PROMOTE):
        return f"done, {last.time[:16]}"
    return f"left: {'the project changed since' if last.result == 'ok' else last.why or last.result}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
