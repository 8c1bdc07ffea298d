"""python -m scripts.gpu_table [--minutes 14] [--only "135M;8B"] [--tiny] [--chart]

Measures the engine transformers on this machine's GPU in one go: SmolLM2-135M with the weights that `make weights` has
made for transformers, or random ones, and the shape of Llama-3.1-8B with random weights in bfloat16, which it creates.
If VLLM_PYTHON names a Python that has vllm, that is measured on the same files. Each subject has its own process and
time limit; its figures are printed and written to benchmarks/gpu/ as they arrive. --tiny runs the same code on the CPU,
on models of two layers.
"""

import datetime
import json
import os
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
from scripts.benchmark import gpu_report, machine
from scripts.cli import command, repository
from scripts.tasks import text_generation_gpu

LIMITS = {
    "machine": 60,
    "weights of 135M": 60,
    "135M": 180,
    "weights of 8B": 120,
    "8B": 210,
    "8B, vllm": 150,
    "135M, vllm": 120,
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
    chart: Annotated[bool, typer.Option("--chart", help="only draw the charts of the receipts")] = False,
) -> int:
    """Measure each subject, print its figures as they arrive, and write the receipt after each."""
    if chart:
        for path in to.glob("*.json"):
            gpu_report.draw(json.loads(path.read_text(encoding="utf-8")), path)
        return 0
    if not tiny and not runtimes.has_cuda_device():
        raise EngineError("there is no NVIDIA GPU that nvidia-smi lists: --tiny tries the command on the CPU")
    names = ["machine", *only.split(";")] if only else [name for name in LIMITS if "vllm" not in name or _vllm_python()]
    if unknown := [name for name in names if name not in LIMITS]:
        raise command.UsageError(f"there is no subject {unknown[0]!r}: {'; '.join(LIMITS)}")
    if not _vllm_python() and any(name.endswith("vllm") for name in names):
        raise command.UsageError("set VLLM_PYTHON to a Python whose environment has vllm")
    receipt, ends = _receipt(), time.monotonic() + 60 * minutes
    for name in dict.fromkeys(names):
        figures: dict[str, Any] = {}
        receipt["subjects"][name] = {"figures": figures}
        ended = _measure(name, tiny, min(LIMITS[name], ends - time.monotonic()), figures)
        receipt["subjects"][name]["ended"] = ended
        print(f"{name}: {ended}", flush=True)
        _write(receipt, to)
    return 0 if all(receipt["subjects"][name]["ended"] == "whole" for name in names) else command.REFUSED


def _measure(name: str, tiny: bool, seconds: float, figures: dict[str, Any]) -> str:
    """Run one subject, which adds its figures; returns how it ended."""
    if seconds <= 0:
        return "not begun: no time was left"
    process = subprocess.Popen(_command(name, tiny), cwd=PROJECT, stdout=subprocess.PIPE, text=True)
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


def _command(name: str, tiny: bool) -> list[str]:
    shape, _, setting = name.partition(", ")
    if setting == "vllm":
        peer = PROJECT / "scripts" / "benchmark" / "vllm_peer.py"
        return [_vllm_python(), str(peer), str(text_generation_gpu.folder_of(shape, tiny))]
    return [sys.executable, "-m", "scripts.tasks.text_generation_gpu", name, *(["--tiny"] if tiny else [])]


def _vllm_python() -> str:
    return os.environ.get("VLLM_PYTHON", "")


def _receipt() -> dict[str, Any]:
    return {
        "date": datetime.date.today().isoformat(),
        "commit": repository.commit() + ("+" if repository.changed_files() else ""),
        "versions": {"python": platform.python_version()} | machine.versions(PACKAGES),
        "subjects": {},
    }


def _write(receipt: dict[str, Any], to: Path) -> None:
    """Write what is known so far, beside earlier subjects of the same commit and packages on the same device."""
    device = receipt["subjects"].get("machine", {"figures": {}})["figures"].get("machine", {})
    path = to / f"{machine.slug_of(device.get('device', 'unknown'))}.json"
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if all(earlier.get(key) == receipt[key] for key in ("commit", "versions")):
        receipt["subjects"] = earlier["subjects"] | receipt["subjects"]
    for subject in receipt["subjects"].values():
        alone, weights = subject["figures"].get("1 streams"), subject["figures"].get("weights")
        if device and alone and weights:
            read = alone["tokens_per_second"] * weights["read_in_a_step_gb"]
            alone["share_of_bandwidth"] = read / device["bandwidth_gb_s"]
    to.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(receipt, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
