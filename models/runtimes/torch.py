"""torch, with a network of the task's own: its code builds it, and loads the safetensors as they were downloaded."""

from collections.abc import Sequence

PACKAGES = ("torch", "safetensors")
CONVERTER = ()
EDITION = "1"


def reads(names: Sequence[str]) -> bool:
    """Whether there are safetensors; other files are never converted."""
    return any(name.endswith(".safetensors") for name in names)
