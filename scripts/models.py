"""python -m scripts.models [--json]

Lists the catalog: each model's task, licence, size, memory and hardware, whether its weights are on this machine, and
its speed in the last benchmark. The selected model is marked.
"""

import json
import sys
from typing import Annotated, Any

import typer
from rich.table import Table

from models import manifest, runtimes, weights
from models.errors import TemplateError
from models.manifest import Manifest
from models.weights.lock import lock_of
from scripts.benchmark import report
from scripts.cli import command, console
from scripts.hub import measured

HEADINGS = ("", "model", "task", "licence", "weights", "memory", "hardware", "weights here", "last benchmark")


def main(argv: list[str]) -> int:
    return command.run(models, argv, "scripts.models")


def models(as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False) -> None:
    """List the models of the catalog."""
    found = [described(manifest.load(slug)) for slug in manifest.slugs()]
    if as_json:
        print(json.dumps(found, indent=2))
        return
    table = Table(*HEADINGS, box=None)
    for one in found:
        size = f"{one['weights_mb']:.0f} MB" if one["weights_mb"] is not None else "not locked"
        mark = "*" if one["is_served"] else ""
        memory, hardware = f"{one['memory_gb']:g} GB", one["hardware"]
        table.add_row(
            mark, one["model"], one["task"], one["licence"], size, memory, hardware, one["here"], one["speed"]
        )
    console.stdout().print(table)
    print("* is served: make use MODEL=... serves another, make new adds one", file=sys.stderr)


def described(model: Manifest) -> dict[str, Any]:
    """A row of the table; `weights_mb`: of the files in weights.lock, of all parts; None if there is no lock."""
    try:
        size: float | None = sum(lock_of(part).size for part in model.parts) / 1e6
    except TemplateError:
        size = None
    return {
        "model": model.slug,
        "is_served": model.slug == _served(),
        "task": model.task,
        "licence": model.license.id,
        "weights_mb": size,
        "memory_gb": model.hardware.memory_gb,
        "hardware": model.hardware.replicate,
        "here": _here(model),
        "speed": _speed(model),
    }


def _served() -> str:
    try:
        return manifest.selected().slug
    except TemplateError:  # no single model is selected
        return ""


def _here(model: Manifest) -> str:
    """Whether the weights for this machine's engine are on it."""
    try:
        choice = runtimes.choose(model)
        if all(runtimes.is_ready(part, part.like(choice)) for part in model.parts):
            return "ready" if model.weights.source or model.uses else "needs none"
        return "downloaded" if all(weights.is_fetched(part) for part in model.parts) else "no"
    except TemplateError:
        return "no"


def _speed(model: Manifest) -> str:
    """The highest rate of this project's server, in the newest of the model's receipts."""
    receipts = measured.receipts(model, measured.BENCHMARKS)
    if not receipts:
        return ""
    newest = max(receipts, key=lambda receipt: str(receipt["date"]))
    rates = [report.rate(newest, "server", streams) or 0 for streams in newest["settings"]["streams"]]
    return f"{max(rates):.0f} {newest['settings']['unit']}/s on {newest['machine']['name']}, {newest['date']}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
