"""python -m scripts.rollback [TO] [--digest sha256:...] [--reason TEXT] [--dry-run]

Makes the previous digest (or a named one that was once live) live again, in production and in the deployments.
"""

import sys
from typing import Annotated

import typer

from scripts.cli import command
from scripts.promote import DryRun, To, begin, dry_run_text
from scripts.release import ledger, promotion
from scripts.release.release import say


def main(argv: list[str]) -> int:
    return command.run(rollback, argv, "scripts.rollback")


def rollback(
    to: To = "",
    digest: Annotated[str, typer.Option(help="a digest that was live; by default the one before")] = "",
    reason: Annotated[str, typer.Option(envvar="REASON", help="why, for the ledger")] = "",
    dry_run: DryRun = False,
) -> None:
    """Make the previous digest live again."""
    release = begin(to, digest)
    if dry_run:
        say(dry_run_text(release, promotion.earlier(release).digest))
        return
    with ledger.exclusive(release.model.slug):
        release.digest = promotion.earlier(release).digest
        release.run([("promote", lambda release: promotion.promote(release, reason or "rollback"))])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
