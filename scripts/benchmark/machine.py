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

_INSTRUCTIONS = {"amx_bf16": "AMX", "avx512_bf16": "AVX512-BF16", "avx512f": "AVX512", "avx2": "AVX2"}
"""Flags in /proc/cpuinfo, the fastest first, and the names of what they stand for."""


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


def _cpu_name(file: Path = Path("/proc/cpuinfo")) -> str:
    """Its name and the instructions that decide its speed: processors of one name differ in them."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = found.get("flags", "").split()
    best = next((f" with {name}" for flag, name in _INSTRUCTIONS.items() if flag in flags), "")
    return found.get("model name", platform.machine()) + best
