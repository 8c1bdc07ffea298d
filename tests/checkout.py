"""Copies of this project's files, for tests that change them or that behave like a fork."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

PROJECT = Path(__file__).parents[1]


def copied(target: Path, only: tuple[str, ...] = ("",)) -> Path:
    """Copy the files that git tracks, and new ones that are not ignored; `only`: how the paths to copy begin.

    Compiled modules are copied too: compiling them again takes each command of a copy up to a second.
    """
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=PROJECT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if name.startswith(only):
            _copy(name, target)
            if name.endswith(".py"):
                _copy(importlib.util.cache_from_source(name), target)
    return target


def _copy(name: str, target: Path) -> None:
    if (PROJECT / name).is_file():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, target / name)
