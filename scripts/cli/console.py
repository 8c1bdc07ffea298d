"""The consoles for the output of every command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH_OF_FILES = 220


def stdout() -> Console:
    """For results: as wide as the terminal; in a file or a pipe, wide enough not to cut tables."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _WIDTH_OF_FILES, markup=False, highlight=False)


def stderr() -> Console:
    """For progress, so that standard output has only results."""
    from rich.console import Console

    return Console(stderr=True)
