"""Files that take no space twice."""

import os
import shutil


def link_or_copy(source: str, target: str) -> str:
    """Make a hard link, or a copy where the file system has none; returns `target`, as shutil.copytree expects."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target
