"""Everything that runs on your machine: one file for each command; its docstring begins with the command line."""

import os
import sys
from types import TracebackType


def _print_short(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print one line instead of a traceback for errors that occur before scripts/cli/command.py runs."""
    if os.environ.get("DEBUG") or not isinstance(error, ModuleNotFoundError | KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    elif isinstance(error, ModuleNotFoundError):
        print(missing(error), file=sys.stderr)
    else:
        print("\ncancelled", file=sys.stderr)


def missing(error: ModuleNotFoundError) -> str:
    """One line for a package that is not installed, for example if another Python than .venv's runs a command."""
    return f"the package {error.name} is not installed for {sys.executable}: make setup, then .venv/bin/python -m ..."


sys.excepthook = _print_short
