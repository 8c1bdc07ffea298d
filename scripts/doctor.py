"""python -m scripts.doctor

Shows what this machine has, what is missing, and how to fix it. A problem keeps `make predict` from running; optional
items are for containers, GPUs and publishing. The variables MODEL and ENGINE select, as for make predict.
"""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Literal, NamedTuple

from rich.table import Table
from rich.text import Text

from models import manifest, runtimes, weights
from models.engine import EngineChoice
from models.errors import TemplateError
from models.manifest import PROJECT, Manifest
from models.weights.sources import hub
from scripts.cli import command, console
from scripts.contract.openapi_frame import COG_VERSION
from scripts.dependencies.pins import pinned
from scripts.serving.docker_engine import NoEngine, connected

State = Literal["ok", "optional", "problem"]
COLORS = {"ok": "green", "optional": "yellow", "problem": "bold red"}
TOKENS = {
    "REPLICATE_API_TOKEN": "https://replicate.com/account/api-tokens",
    "HF_TOKEN": "https://huggingface.co/settings/tokens",
}
WEIGHTS_GB, IMAGE_GB = 1, 20


class Row(NamedTuple):
    """What was checked and what was found; `remedy`: the command that fixes it."""

    what: str
    found: str
    state: State = "ok"
    remedy: str = ""


def main(argv: list[str]) -> int:
    """Print the table; 0 if `make predict` can run, 1 otherwise."""
    return command.run(doctor, argv, "scripts.doctor")


def doctor() -> int:
    """Show what this machine has, what is missing, and how to fix it."""
    with ThreadPoolExecutor() as pool:
        machine = [pool.submit(check) for check in (gpu, docker_client, docker_engine, cog)]
        rows = [python_version(), *model_rows(), *(check.result() for check in machine), *map(token, TOKENS), disk()]
    table = Table("state", "what", "found, and the remedy", box=None)
    for row in rows:
        found = Text(row.found).append(f"\n{row.remedy}" if row.remedy else "", style="bold")
        table.add_row(Text(row.state, style=COLORS[row.state]), row.what, found)
    console.stdout().print(table)
    problems = "; ".join(row.what for row in rows if row.state == "problem")
    print(f"make predict cannot run: {problems}" if problems else "make predict can run", file=sys.stderr)
    return 1 if problems else 0


def model_rows() -> list[Row]:
    """The selected model, the engine that would run it, the packages of its engines, and the weights."""
    try:
        model = manifest.selected()
        choice = runtimes.choose(model)
    except TemplateError as error:
        return [Row("model and engine", str(error), "problem")]
    named = dict.fromkeys(one.engine for one in [*reversed(model.engines), choice])
    missing: dict[str, State] = {name: "problem" if name == choice.engine else "optional" for name in named}
    rows = [
        Row("model and engine", f"{model.slug}, {choice.described}"),
        packages("scripts", choice.engine, "problem"),
        *(packages(name, name, missing[name]) for name in sorted(named)),
    ]
    choices = {one.engine: one for one in [*reversed(model.engines), choice]}.values()
    for part in model.parts:
        if part.weights.source:
            rows += weights_rows(part, [part.like(one) for one in choices], missing)
    return rows


def weights_rows(model: Manifest, choices: Sequence[EngineChoice], missing: Mapping[str, State]) -> list[Row]:
    """The download, and the files of each engine; `missing`: the state if an engine's files are."""
    made = [
        weights_row(model, one.engine, partial(runtimes.is_ready, model, one), missing[one.engine]) for one in choices
    ]
    source = weights_row(model, weights.SOURCE, partial(weights.is_fetched, model), "problem")
    if source.state == "problem" and "problem" not in (row.state for row in made):
        source = Row(source.what, "missing, but only needed to make an engine's files, which are there", "optional")
    return [source, *made]


def packages(name: str, engine: str, missing: State) -> Row:
    """Whether the packages of requirements/NAME.in are installed as locked; `missing`: the state when one is not."""
    try:
        pins = pinned(name)
    except TemplateError as error:
        return Row(f"packages, {name}", str(error), missing)
    has = {package: _version(package) or "none" for package in pins}
    wrong = [
        f"{package} {pin} (has {has[package]})"
        for package, pin in pins.items()
        if has[package].partition("+")[0] != pin
    ]  # +cu128
    if not wrong:
        return Row(f"packages, {name}", ", ".join(f"{package} {pin}" for package, pin in pins.items()))
    again = f"rm .venv/.{engine}; " if (PROJECT / ".venv" / f".{engine}").exists() else ""
    return Row(f"packages, {name}", f"missing: {', '.join(wrong)}", missing, f"{again}make setup ENGINE={engine}")


def weights_row(model: Manifest, part: str, is_complete: Callable[[], bool], missing: State) -> Row:
    """Whether the download (`part` is source) or an engine's files are present, each with the right size."""
    what = f"weights of {model.slug}, {part}"
    try:
        if is_complete():
            return Row(what, "complete, by size")
    except TemplateError as error:
        return Row(what, str(error), missing)
    remedy = "make weights" + ("" if part == weights.SOURCE else f" ENGINE={part}")
    return Row(what, "missing, incomplete, or made from other files", missing, remedy)


def python_version() -> Row:
    if (3, 10) <= sys.version_info[:2] <= (3, 13):
        return Row("Python", platform.python_version())
    remedy = "rm -r .venv; make setup PYTHON=python3.12"
    return Row("Python", f"{platform.python_version()}: must be 3.10 to 3.13", "problem", remedy)


def gpu() -> Row:
    """The GPUs of nvidia-smi; torch's version is read without importing torch, which would take seconds."""
    listed = _output("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
    if not listed:
        driver = "only with an NVIDIA GPU, its driver: https://www.nvidia.com/drivers"
        return Row("GPU and CUDA", "nvidia-smi lists none, so the CPU is used", "optional", driver)
    if torch := _version("torch"):
        return Row("GPU and CUDA", f"{listed}; torch {torch}")
    return Row("GPU and CUDA", f"{listed}; torch is missing", "optional", "make setup ENGINE=transformers")


def docker_engine() -> Row:
    try:
        with connected(seconds=3) as client:
            return Row("Docker engine", client.version()["Version"])
    except NoEngine as error:
        return Row("Docker engine", error.found, "optional", error.remedy)


def docker_client() -> Row:
    if version := _output("docker", "--version"):
        return Row("Docker client", version)
    return Row("Docker client", "missing", "optional", "https://docs.docker.com/engine/install/")


def cog() -> Row:
    """The cog command; the committed schemas and the images are for one version of it."""
    version = _output("cog", "--version")
    if version and COG_VERSION in version.split():
        return Row("cog command", version)
    found = f"{version}, but {COG_VERSION} is needed" if version else "missing"
    return Row("cog command", found, "optional", f"https://cog.run/#install, release v{COG_VERSION}")


def token(name: str) -> Row:
    """Whether a token is set; it is never printed."""
    if os.environ.get(name):
        return Row(name, "set")
    if name == "HF_TOKEN" and hub.known_token():
        return Row(name, "not set, but hf auth login was done")
    return Row(name, "not set", "optional", f"export {name}=..., from {TOKENS[name]}")


def disk() -> Row:
    free = shutil.disk_usage(PROJECT).free / 1e9
    if free >= IMAGE_GB:
        return Row("disk", f"{free:.0f} GB free")
    found = f"{free:.1f} GB free: weights take {WEIGHTS_GB}, building a CUDA image {IMAGE_GB}"
    return Row("disk", found, "optional" if free >= WEIGHTS_GB else "problem", "docker system prune")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _output(*arguments: str) -> str | None:
    """The output of a command; None if it is missing or fails."""
    try:
        return subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
