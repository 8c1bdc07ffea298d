"""python -m scripts.promote TO [--digest sha256:...] [--reason TEXT] [--dry-run]

Puts a digest that passed staging (by default the last one) into production, without a rebuild, and then into the
deployments that the manifest names, one after another. If one fails, all are rolled back.
"""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from models import manifest
from scripts.cli import command
from scripts.cli.device import chosen_device
from scripts.release import ledger, promotion, target
from scripts.release.ledger import Entry
from scripts.release.release import Release, say

To = Annotated[str, typer.Argument(help="REGISTRY/OWNER/MODEL, for example r8.im/you/smollm2; by default the last one")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="print what would be done")]


def main(argv: list[str]) -> int:
    return command.run(promote, argv, "scripts.promote")


def promote(
    to: To = "",
    digest: Annotated[str, typer.Option(help="the image that passed staging")] = "",
    reason: Annotated[str, typer.Option(envvar="REASON", help="why, for the ledger")] = "",
    dry_run: DryRun = False,
) -> None:
    """Put what passed staging into production."""
    release = begin(to, digest)
    if dry_run:
        say(dry_run_text(release, promotion.passed_staging(release).digest))
        return
    with ledger.exclusive(release.model.slug):
        release.run([("promote", lambda release: promotion.promote(release, reason))])


def begin(to: str, digest: str = "") -> Release:
    """A release of the selected model to TO, or to the target of the last release.

    Raises:
        UsageError: there is no TO and no earlier release, or the ledger has no such digest.
    """
    model = manifest.selected()
    entries = ledger.read(model.slug)
    to_target = target.parse(to or (entries[-1].to if entries else ""))
    return Release(model, chosen_device(""), to_target, digest=_full_digest(digest, entries))


def _full_digest(digest: str, entries: Sequence[Entry]) -> str:
    """The only digest in the ledger that begins with `digest`; "" for "".

    Raises:
        UsageError: none does, or several do.
    """
    if not digest:
        return ""
    found = {entry.digest for entry in entries if entry.digest.startswith(digest)}
    if len(found) == 1:
        return found.pop()
    begins = "several digests of the ledger begin" if found else "no digest of the ledger begins"
    raise command.UsageError(f"{begins} with {digest}: give one as make releases shows it, sha256:...")


def dry_run_text(release: Release, digest: str) -> str:
    """What a promotion of a digest would do."""
    deployments = release.model.deployments if release.target.is_replicate else []
    return f"would make {digest} live at {', '.join([release.target.production, *deployments])}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
