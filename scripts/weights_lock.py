"""python -m scripts.weights_lock [--dry-run]

Writes the selected model's weights.lock: the commit of a branch or tag, and the size and hash of each file. Builds,
setups and pushes use only these files. Files that had to be downloaded for it are kept for make weights.
"""

import sys
from typing import Annotated

import typer

from models import manifest, weights
from models.errors import WeightsError
from models.weights import lock
from models.weights.lock import Lock
from scripts import tasks
from scripts.cli import command
from scripts.cli.progress import progress


def main(argv: list[str]) -> int:
    return command.run(write_lock, argv, "scripts.weights_lock")


def write_lock(dry_run: Annotated[bool, typer.Option("--dry-run", help="print what would change")] = False) -> None:
    """Pin the current weights of the selected model."""
    model = manifest.selected()
    if not model.weights.source:
        raise WeightsError(
            f"{model.slug} has no weights to pin: name some under `weights` in {manifest.path_of(model.slug)}"
        )
    print(f"resolving {model.weights.source}", file=sys.stderr)
    with weights.one_at_a_time(model):
        new = weights.make_lock(model, progress())
        described = model.with_facts(new.facts)
        if check := tasks.attribute(model, "check_weights", None):
            check(described, new)
        changes = list(_changes(_present(model), new))
        if not dry_run:
            lock.write(model, new)
    count = f"{len(new.files)} file{'s' if len(new.files) > 1 else ''}"
    print("\n".join([*changes, f"{new.resolved}: {count}, {new.size / 1e6:.1f} MB"]))
    if dry_run:
        print(f"would write {lock.path_of(model.slug)}", file=sys.stderr)
    elif changes:
        print(f"wrote {lock.path_of(model.slug)}: commit it, then: make weights", file=sys.stderr)


def _present(model: manifest.Manifest) -> Lock | None:
    try:
        return lock.lock_of(model)
    except WeightsError:
        return None


def _changes(old: Lock | None, new: Lock) -> list[str]:
    """A line for each new, changed and removed file; empty if nothing changed."""
    before = old.files if old else {}
    lines = [f"resolved  {old.resolved} -> {new.resolved}"] if old and old.resolved != new.resolved else []
    for name in sorted({*before, *new.files}):
        if before.get(name) != new.files.get(name):
            word = "new" if name not in before else "gone" if name not in new.files else "changed"
            lines.append(f"{word:8}  {name}")
    return lines or ([] if old == new else ["new lock"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
