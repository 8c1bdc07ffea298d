"""python -m scripts.weights

Downloads the selected model's weights, verifies them, and converts them for the selected engine, once. MODEL and ENGINE
select; by default the engine is that of this machine.
"""

import sys

from models import manifest, runtimes, weights
from scripts.cli import command
from scripts.conversion.weights import ensure


def main(argv: list[str]) -> int:
    return command.run(fetch_and_make, argv, "scripts.weights")


def fetch_and_make() -> None:
    """Download, verify and convert the selected model's weights (the variables MODEL and ENGINE select)."""
    model = manifest.selected()
    choice = runtimes.choose(model)
    ensure(model, choice)
    for part in model.parts:
        print(f"{weights.folder(part.slug, runtimes.part_of(part, choice))}: in place", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
