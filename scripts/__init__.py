"""What runs on your machine: one file a command, each begins with the command that runs it."""

import os
import sys
from types import TracebackType


def _said(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """In place of a traceback, for what happens before scripts/cli/command.py has begun."""
    if os.environ.get("DEBUG") or not isinstance(error, ModuleNotFoundError | KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    elif isinstance(error, ModuleNotFoundError):
        print(missing(error), file=sys.stderr)
    else:
        print("\ncancelled", file=sys.stderr)


def missing(error: ModuleNotFoundError) -> str:
    """One line for a package that is not installed, as where another Python than that of .venv runs a command."""
    return f"the package {error.name} is not installed for {sys.executable}: make setup, then .venv/bin/python -m ..."


sys.excepthook = _said
