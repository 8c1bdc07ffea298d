"""python -m scripts.weights

Downloads the selected model's weights, verifies them, and makes the chosen engine's own files from them, once.
MODEL and ENGINE choose; the engine is by default the one that this machine runs.
"""

import sys
import time

from models import engines, manifest, weights
from models.manifest import EngineChoice, Manifest
from scripts import command


def main(argv: list[str]) -> int:
    """Fetch, verify, make; 0 when all is in place, 1 with a reason."""
    return command.run(fetch_and_make, argv, "scripts.weights")


def fetch_and_make() -> None:
    """Download, verify and convert the selected model's weights (the variables MODEL and ENGINE choose)."""
    model = manifest.selected()
    choice = engines.choose(model)
    ensure(model, choice)
    weights.verify_derived(model, choice.engine)
    print(f"{weights.folder(model.slug, choice.engine)}: verified", file=sys.stderr)


def ensure(model: Manifest, choice: EngineChoice) -> None:
    """Do what is not done yet, saying what; in place already, it only looks at sizes.

    Raises:
        TemplateError: what failed, and the remedy.
    """
    converter = engines.converter_versions(choice.engine)
    if weights.is_derived(model, choice, converter):
        return
    if not weights.is_fetched(model):
        megabytes = sum(file.size for file in weights.lock_of(model).files.values()) / 1e6
        with _Timed(
            f"downloading {model.weights.source} ({megabytes:.0f} MB)", "downloaded, sha256 as in weights.lock"
        ):
            weights.fetch(model)
    with _Timed(f"making {choice.engine}'s files in {choice.dtype}, once", f"made {choice.engine}'s files"):
        weights.derive(model, choice, converter, engines.module(choice.engine).convert)


class _Timed:
    """Says on standard error what begins, and how long it took."""

    def __init__(self, begins: str, done: str) -> None:
        self._begins, self._done = begins, done

    def __enter__(self) -> None:
        print(self._begins, file=sys.stderr, flush=True)
        self._started = time.monotonic()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            print(f"{self._done} ({time.monotonic() - self._started:.1f} s)", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
