"""The machine of a measurement, and the versions of its packages."""

import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from models.engine import EngineChoice


def described(choice: EngineChoice) -> dict[str, Any]:
    """Its processor, or its GPU if the engine runs on it; `slug` names its receipts."""
    if choice.device == "cuda":
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        name = subprocess.run(query, capture_output=True, text=True).stdout.splitlines()[0]
    else:
        name = _cpu_name()
    slug = slug_of(f"{name} {os.cpu_count()} cores")
    return {"name": name, "slug": slug, "cores": os.cpu_count(), "system": platform.platform()}


def slug_of(name: str) -> str:
    """A name as a file has it: small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of those of the packages that are installed, in their order."""
    installed = {one.metadata["Name"].lower(): one.version for one in importlib.metadata.distributions()}
    return {name: installed[name] for name in packages if name in installed}


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
