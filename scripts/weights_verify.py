"""python -m scripts.weights_verify

Reads every byte of the selected model's weights, downloaded and converted, and compares them with weights.lock and
derived.json.
"""

import sys

from rich.table import Table

from models import manifest, weights
from models.errors import WeightsError
from models.manifest import Manifest
from scripts.cli import command, console


def main(argv: list[str]) -> int:
    """Verify; 0 if all files on this machine are right, 1 if one is wrong or there are none."""
    return command.run(verify, argv, "scripts.weights_verify")


def verify() -> int:
    """Check every byte of the selected model's weights."""
    model = manifest.selected()
    rows = [(part, *_state(model, part)) for part in _parts(model)]
    table = Table("state", "weights", "found", box=None)
    for part, state, found in rows:
        table.add_row(state, part, found)
    console.stdout().print(table)
    states = {state for _, state, _ in rows}
    return 0 if "ok" in states and "wrong" not in states else 1


def _parts(model: Manifest) -> list[str]:
    return [weights.SOURCE, *sorted({choice.engine for choice in model.engines})]


def _state(model: Manifest, part: str) -> tuple[str, str]:
    folder = weights.folder(model.slug, part)
    if not folder.is_dir():
        return "none", "not here" + (": make weights" if part == weights.SOURCE else f": make weights ENGINE={part}")
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
