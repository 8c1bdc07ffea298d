"""The option --device of the commands that build or release a container."""

from typing import Annotated

import typer

from models import runtimes
from models.engine import Device
from scripts.cli.command import UsageError

CONFIGS: dict[Device, str] = {"cuda": "cog.yaml", "cpu": "cog.cpu.yaml"}
"""The configuration from which cog builds a device's image."""
DeviceOption = Annotated[str, typer.Option("--device", help="cpu or cuda; by default that of this machine")]


def chosen_device(device: str) -> Device:
    """The given device, or that of this machine.

    Raises:
        UsageError: there is no such device.
    """
    if device not in ("", "cpu", "cuda"):
        raise UsageError(f"there is no device {device!r}: cpu or cuda")
    if device:
        return "cpu" if device == "cpu" else "cuda"
    return "cuda" if runtimes.has_cuda_device() else "cpu"
