"""python -m scripts.gpu_table [--minutes 14] [--only "135M;8B"] [--tiny]

Measures the engine transformers on this machine's GPU in one go: the shapes of SmolLM2-135M and of Llama-3.1-8B with
random weights in bfloat16, which it creates. Each subject has its own process and time limit; its figures are printed
and written to benchmarks/gpu/ as they arrive. --tiny runs the same code on the CPU, on models of two layers.
"""

import datetime
import json
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from models import runtimes
from models.errors import EngineError
from models.manifest import PROJECT
from scripts.benchmark import machine
from scripts.cli import command, repository

LIMITS = {
    "machine": 60,
    "weights of 135M": 60,
    "135M": 180,
    "weights of 8B": 120,
    "8B": 210,
    "135M, efficient kernel": 150,
    "8B, efficient kernel": 180,
    "8B, int4": 150,
    "8B, int8": 150,
}
"""The subjects, the most important first, each with the most seconds that it may take."""
PACKAGES = ("torch", "transformers", "accelerate", "bitsandbytes")
_FOLDER = PROJECT / "benchmarks" / "gpu"


def main(argv: list[str]) -> int:
    return command.run(table, argv, "scripts.gpu_table")


def table(
    minutes: Annotated[float, typer.Option(help="for everything together")] = 14,
    only: Annotated[str, typer.Option(help="some of the subjects, with ; between them")] = "",
    tiny: Annotated[bool, typer.Option("--tiny", help="on the CPU, to try the command")] = False,
    to: Annotated[Path, typer.Option(help="the folder of the receipt")] = _FOLDER,
) -> int:
    """Measure each subject, print its figures as they arrive, and write the receipt after each."""
    if not tiny and not runtimes.has_cuda_device():
        raise EngineError("there is no NVIDIA GPU that nvidia-smi lists: --tiny tries the command on the CPU")
    names = only.split(";") if only else [*LIMITS]
    if unknown := [name for name in names if name not in LIMITS]:
        raise command.UsageError(f"there is no subject {unknown[0]!r}: {'; '.join(LIMITS)}")
    receipt, ends = _receipt(), time.monotonic() + 60 * minutes
    for name in names:
        measured = receipt["subjects"].setdefault(name, {"figures": {}})
        measured["ended"] = _measure(name, tiny, min(LIMITS[name], ends - time.monotonic()), measured["figures"])
        print(f"{name}: {measured['ended']}", flush=True)
        _write(receipt, to)
    return 0 if all(one["ended"] == "whole" for one in receipt["subjects"].values()) else command.REFUSED


def _measure(name: str, tiny: bool, seconds: float, figures: dict[str, Any]) -> str:
    """Run one subject, which adds its figures; returns how it ended."""
    if seconds <= 0:
        return "not begun: no time was left"
    arguments = [sys.executable, "-m", "scripts.tasks.text_generation_gpu", name, *(["--tiny"] if tiny else [])]
    process = subprocess.Popen(arguments, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    late = threading.Timer(seconds, process.kill)
    late.start()
    assert process.stdout is not None
    for line in process.stdout:
        print(f"{name}: {line}", end="", flush=True)
        figures.update(json.loads(line))
    code = process.wait()
    is_late = not late.is_alive()
    late.cancel()
    return "whole" if code == 0 else f"killed after {seconds:.0f} s" if is_late else f"failed with code {code}"


def _receipt() -> dict[str, Any]:
    return {
        "date": datetime.date.today().isoformat(),
        "commit": repository.commit(),
        "versions": {"python": platform.python_version()} | machine.versions(PACKAGES),
        "subjects": {},
    }


def _write(receipt: dict[str, Any], to: Path) -> None:
    """Write what is known so far, with the share of the bandwidth that one stream reaches."""
    device = receipt["subjects"].get("machine", {"figures": {}})["figures"].get("machine", {})
    for subject in receipt["subjects"].values():
        alone, memory = subject["figures"].get("1 streams"), subject["figures"].get("memory")
        if device and alone and memory:
            read = alone["tokens_per_second"] * memory["weights_gb"]
            alone["share_of_bandwidth"] = read / device["bandwidth_gb_s"]
    to.mkdir(parents=True, exist_ok=True)
    path = to / f"{machine.slug_of(device.get('device', 'unknown'))}.json"
    path.write_text(json.dumps(receipt, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
