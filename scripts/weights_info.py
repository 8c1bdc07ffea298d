"""python -m scripts.weights_info [--json]

Shows the selected model's weights: files, sizes, number formats, parameters, the memory that each number format needs,
and the hardware of Replicate that it fits. Only headers are read.
"""

import json
import sys
from collections import Counter
from typing import Annotated, Any

import typer
from rich.table import Table

from models import manifest, weights
from models.engine import BYTES
from models.errors import ManifestError, WeightsError
from models.manifest import Manifest, path_of
from models.weights import formats
from models.weights.lock import lock_of
from scripts.cli import command, console
from scripts.hardware import fit, replicate


def main(argv: list[str]) -> int:
    return command.run(info, argv, "scripts.weights_info")


def info(as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False) -> None:
    """Show the selected model's weights and what they need."""
    model = manifest.selected()
    found = described(model)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        _print(found)
    on_gpu = next((choice for choice in model.engines if choice.device == "cuda"), None)
    if on_gpu and model.hardware.replicate != "cpu" and (why := fit.refusal(model, on_gpu, fit.facts_of(model))):
        raise ManifestError(why)


def _print(found: dict[str, Any]) -> None:
    output = console.stdout()
    files = Table("file", "MB", "sha256", box=None)
    for name, file in found["files"].items():
        files.add_row(name, f"{file['size'] / 1e6:.1f}", file["sha256"])
    origin = found["resolved"] + (f", with the adapter {found['adapter']}" if found["adapter"] else "")
    output.print(origin, files, sep="\n")
    kinds = ", ".join(f"{count / 1e6:.1f} M in {kind}" for kind, count in found["dtypes"].items())
    output.print(f"\n{found['parameters']:,} parameters: {kinds}")
    output.print(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in found["facts"].items()) + "\n")
    needs = Table("number format", "weights", "weights, cache and overhead", "fits on Replicate's", box=None)
    for dtype, need in found["memory"].items():
        total = f"{need['weights_gb'] + need['beside_gb']:.2f} GB"
        needs.add_row(dtype, f"{need['weights_gb']:.2f} GB", total, ", ".join(need["fits"]) or "no single GPU")
    output.print(needs)
    for engine, need in found["engines"].items():
        output.print(f"{engine}: {need['weights_gb']:.2f} GB of weights, {need['beside_gb']:.2f} GB beside them")


def described(model: Manifest) -> dict[str, Any]:
    """The output of --json: sizes in bytes, the count of parameters, memory in GB (10^9 bytes), facts from the lock.

    Raises:
        WeightsError: the weights are not on this machine.
    """
    if model.uses:
        parts = " or ".join(f"MODEL={slug}" for slug in model.uses)
        raise WeightsError(f"{model.slug} has no weights of its own: make weights-info {parts}")
    if not model.weights.source:
        raise WeightsError(f"{model.slug} has no weights: name some under `weights` in {path_of(model.slug)}")
    lock = lock_of(model)
    if not weights.is_fetched(model):
        raise WeightsError(f"the weights of {model.slug} are not here: make weights MODEL={model.slug}")
    folder = weights.folder(model.slug, weights.SOURCE)
    own = [name for name in lock.parts[""].files if formats.is_weights(name)]
    tensors = [one for name in own for one in formats.tensors(folder / name)]
    dtypes: Counter[str] = Counter()
    for tensor in tensors:
        dtypes[tensor.dtype] += tensor.parameters
    needed = {choice.described: fit.needed_gb(choice, fit.facts_of(model)) for choice in model.engines}
    return {
        "resolved": lock.resolved,
        "adapter": weights.adapter.described(lock),
        "files": {name: file.model_dump() for name, file in lock.files.items()},
        "parameters": sum(dtypes.values()),
        "facts": lock.facts.model_dump(exclude_defaults=True, exclude={"parameters", "adapter"}),
        "dtypes": dict(dtypes.most_common()),
        "memory": {dtype: _need(model, sum(dtypes.values()), width) for dtype, width in BYTES.items()},
        "engines": {name: {"weights_gb": one[0], "beside_gb": one[1]} for name, one in needed.items() if one},
    }


def _need(model: Manifest, parameters: int, width: float) -> dict[str, Any]:
    weights_gb = parameters * width / 1e9
    beside_gb = max(choice.gb_beside_weights for choice in model.engines) * 2**30 / 1e9
    return {
        "weights_gb": weights_gb,
        "beside_gb": beside_gb,
        "fits": replicate.that_fit(weights_gb + beside_gb),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
