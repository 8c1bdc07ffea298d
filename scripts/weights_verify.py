"""python -m scripts.weights_verify

Reads every byte of the selected model's weights, downloaded and converted, and compares them with weights.lock and
derived.json.
"""

import sys
from collections.abc import Sequence

from rich.table import Table

from models import manifest, runtimes, weights
from models.engine import EngineChoice
from models.errors import WeightsError
from models.manifest import Manifest, path_of
from scripts.cli import command, console


def main(argv: list[str]) -> int:
    """Verify; 0 if all files on this machine are right, 1 if one is wrong or there are none."""
    return command.run(verify, argv, "scripts.weights_verify")


def verify() -> int:
    """Check every byte of the selected model's weights."""
    selected = manifest.selected()
    states = set()
    table = Table("state", "weights", "found", box=None)
    for model in selected.parts:
        for part in _parts(model, selected.engines):
            state, found = _state(model, part)
            states.add(state)
            table.add_row(state, f"{model.slug}, {part}", found)
    console.stdout().print(table)
    return 0 if "ok" in states and "wrong" not in states else 1


def _parts(model: Manifest, engines: Sequence[EngineChoice]) -> list[str]:
    """The download, and the files that engines need made from it."""
    if not model.weights.source:
        raise WeightsError(f"{model.slug} has no weights: name some under `weights` in {path_of(model.slug)}")
    loaded = {runtimes.part_of(model, model.like(choice)) for choice in engines}
    return [weights.SOURCE, *sorted(loaded - {weights.SOURCE})]


def _state(model: Manifest, part: str) -> tuple[str, str]:
    folder = weights.folder(model.slug, part)
    if not folder.is_dir():
        engine = "" if part == weights.SOURCE else f" ENGINE={part}"
        return "none", f"not here: make weights MODEL={model.slug}{engine}"
    try:
        weights.verify(model, part, full=True)
    except WeightsError as error:
        return "wrong", str(error)
    return (
        "ok",
        f"{sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 1e6:.1f} MB, every byte right",
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
