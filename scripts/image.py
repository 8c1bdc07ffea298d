"""python -m scripts.image [--device cpu|cuda] [--tag NAME:TAG]

Builds the container with `cog build`, after baking in the weights that the device's engine loads.
"""

import os
import shutil
import subprocess
import sys
from typing import Annotated

import typer

from models import engines, manifest, weights
from models.errors import TemplateError
from models.manifest import Device, EngineChoice, Manifest
from models.weights import PROJECT
from scripts import command
from scripts.render import CONFIGS
from scripts.weights import ensure

DeviceOption = Annotated[str, typer.Option("--device", help="cpu or cuda; by default what this machine has")]


def main(argv: list[str]) -> int:
    """Build; 0 when the image is there."""
    return command.run(image, argv, "scripts.image")


def image(device: DeviceOption = "", tag: Annotated[str, typer.Option(help="the image's name")] = "") -> None:
    """Build the container image with the selected model's weights in it."""
    name = build(manifest.selected(), chosen_device(device), tag)
    print(f"built {name}: make container-predict PROMPT=...", file=sys.stderr)


def build(model: Manifest, device: Device, tag: str = "") -> str:
    """Bake and build; returns the image's name.

    Raises:
        TemplateError: the weights cannot be had, or cog is missing or refused.
    """
    tag = tag or f"{model.slug}:{device}"
    bake(model, model.engine_on(device))
    run_cog("build", "-f", CONFIGS[device], *build_flags(), "-t", tag)
    return tag


def bake(model: Manifest, choice: EngineChoice) -> None:
    """Put the files of one engine, and nothing else, into baked/: what the next `cog build` takes into the image.

    They are hard links to weights/, so they take no room.
    """
    ensure(model, choice)
    weights.verify_derived(model, choice.engine)
    baked = PROJECT / "baked"
    shutil.rmtree(baked, ignore_errors=True)
    shutil.copytree(weights.folder(model.slug, choice.engine), baked / model.slug / choice.engine, copy_function=_link)


def chosen_device(device: str) -> Device:
    """The device that was asked for, or the one that this machine has.

    Raises:
        command.UsageError: there is no such device.
    """
    if device not in ("", "cpu", "cuda"):
        raise command.UsageError(f"there is no device {device!r}: cpu or cuda")
    if device:
        return "cpu" if device == "cpu" else "cuda"
    return "cuda" if engines.has_cuda_device() else "cpu"


def build_flags() -> list[str]:
    """Public base images, unless COG_BASE_IMAGE=true asks for Replicate's own, which start faster there."""
    return [f"--use-cog-base-image={os.environ.get('COG_BASE_IMAGE') or 'false'}"]


def run_cog(*arguments: str) -> None:
    """Run the real cog command in the project's folder, its output on this terminal.

    Raises:
        TemplateError: it is not installed, or it refused.
    """
    if shutil.which("cog") is None:
        raise TemplateError("the cog command is missing: https://cog.run/#install, then: make doctor")
    if subprocess.run(["cog", *arguments], cwd=PROJECT).returncode != 0:
        raise TemplateError(f"cog {arguments[0]} failed: see its message above, then: make doctor")


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
