"""python -m scripts.weights

Downloads the selected model's weights, verifies them, and makes the chosen engine's own files from them, once.
MODEL and ENGINE choose; the engine is by default the one that this machine runs.
"""

import sys
from functools import partial

from models import manifest, runtimes, weights
from models.manifest import EngineChoice, Manifest
from scripts import tasks
from scripts.cli import command
from scripts.cli.progress import progress
from scripts.conversion import to_openvino


def main(argv: list[str]) -> int:
    """Fetch, verify, make; 0 when all is in place, 1 with a reason."""
    return command.run(fetch_and_make, argv, "scripts.weights")


def fetch_and_make() -> None:
    """Download, verify and convert the selected model's weights (the variables MODEL and ENGINE choose)."""
    model = manifest.selected()
    choice = runtimes.choose(model)
    ensure(model, choice)
    print(f"{weights.folder(model.slug, runtimes.part_of(model, choice))}: in place", file=sys.stderr)


def ensure(model: Manifest, choice: EngineChoice) -> None:
    """Do what is not done yet, with a progress bar; in place already, it only looks at names and sizes.

    Raises:
        TemplateError: what failed, and the remedy.
    """
    export = partial(to_openvino.export, tasks.fact(model, "CONVERTED_AS", "decoder"))
    runtimes.ensure(model, choice, progress(), export)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
