"""The machine of a measurement."""

import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

from models.manifest import EngineChoice


def described(choice: EngineChoice) -> dict[str, Any]:
    """Its processor, or its GPU if the engine runs on it; `slug` names its receipts."""
    if choice.device == "cuda":
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        name = subprocess.run(query, capture_output=True, text=True).stdout.splitlines()[0]
    else:
        name = _cpu_name()
    slug = re.sub(r"[^a-z0-9]+", "-", f"{name} {os.cpu_count()} cores".lower()).strip("-")
    return {"name": name, "slug": slug, "cores": os.cpu_count(), "system": platform.platform()}


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
