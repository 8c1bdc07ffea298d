"""The option --device of the commands that build or ship a container."""

from typing import Annotated

import typer

from models import runtimes
from models.manifest import Device
from scripts.cli.command import UsageError

CONFIGS: dict[Device, str] = {"cuda": "cog.yaml", "cpu": "cog.cpu.yaml"}
"""The configuration that cog builds a device's image from."""
DeviceOption = Annotated[str, typer.Option("--device", help="cpu or cuda; by default what this machine has")]


def chosen_device(device: str) -> Device:
    """The device that was asked for, or the one that this machine has.

    Raises:
        UsageError: there is no such device.
    """
    if device not in ("", "cpu", "cuda"):
        raise UsageError(f"there is no device {device!r}: cpu or cuda")
    if device:
        return "cpu" if device == "cpu" else "cuda"
    return "cuda" if runtimes.has_cuda_device() else "cpu"
