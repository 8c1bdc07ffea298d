"""Copies of this project's own files, for tests that change them or that run as a fork would."""

import shutil
import subprocess
from pathlib import Path

PROJECT = Path(__file__).parents[1]


def copied(target: Path, only: tuple[str, ...] = ("",)) -> Path:
    """Copy what git tracks and what is new but not ignored, as it is now; `only`: how the paths begin."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=PROJECT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if name.startswith(only) and (PROJECT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, target / name)
    return target
