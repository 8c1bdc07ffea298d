"""Copies of this project's files, for tests that change them or that behave like a fork."""

import shutil
import subprocess
from pathlib import Path

PROJECT = Path(__file__).parents[1]


def copied(target: Path, only: tuple[str, ...] = ("",)) -> Path:
    """Copy the files that git tracks, and new ones that are not ignored; `only`: how the paths to copy begin."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=PROJECT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if name.startswith(only) and (PROJECT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, target / name)
    return target
