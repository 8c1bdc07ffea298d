"""The entry point of every command: runs a typer app, and turns any error into one line and an exit code."""

import errno
import functools
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import Any

import typer

from models.errors import TemplateError, in_words
from scripts import missing
from scripts.cli.connection import bypass_proxies_locally

REFUSED, WRONG_USAGE, CANCELLED = 1, 2, 130
_PROJECT = Path(__file__).parents[2]
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_TRACE = ": DEBUG=1 shows the trace"
_FREE_ROOM = ": free some space there, or choose another folder (TMPDIR for temporary files)"
_REMEDIES = {
    errno.ENOSPC: _FREE_ROOM,
    errno.EDQUOT: _FREE_ROOM,
    errno.EACCES: ": check its owner and permissions",
    errno.EPERM: ": check its owner and permissions",
    errno.EROFS: ": it is on a read-only file system; choose another folder (TMPDIR for temporary files)",
}


class UsageError(TemplateError):
    """The command line is wrong; exit code 2."""


def run(command: Callable[..., Any], argv: list[str], name: str) -> int:
    """Run the function `command` with typer; 0 done, 1 refused with a reason, 2 wrong usage, 130 cancelled.

    An exception is shown as one line, with a traceback only if DEBUG is set; an unexpected one exits 1. In `argv`,
    `--inputs TEXT` stands for the words of TEXT, split as in a shell; the Makefile passes INPUTS in this way.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(_interruptible(command))
    bypass_proxies_locally()
    _escape_unprintable()
    with signals_to(_interrupt):
        try:
            return int(
                typer.main.get_command(app).main(
                    _with_inputs(argv), prog_name=f"python -m {name}", standalone_mode=False
                )
                or 0
            )
        except TemplateError as error:
            _print_error(str(error))
            return WRONG_USAGE if isinstance(error, UsageError) else REFUSED
        except typer.TyperException as error:
            message = error.format_message() if isinstance(error, typer.BadParameter) else str(error)
            print(f"{message.rstrip('.')}: see python -m {name} --help", file=sys.stderr)
            return WRONG_USAGE
        except typer.Abort:
            print("\ncancelled", file=sys.stderr)
            return CANCELLED
        except Exception as error:
            _print_error(unexpected(error))
            return REFUSED


def unexpected(error: Exception) -> str:
    """One line for an exception that no code handles: the error, its place, and what to do.

    An OSError comes from the machine and names the file; anything else may be a bug in this project.
    """
    if isinstance(error, ModuleNotFoundError):
        return missing(error)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror.lower()}{_REMEDIES.get(error.errno or 0, _TRACE)}"
    return f"{in_words(error)} ({_place(error)}){_TRACE}"


def _print_error(line: str) -> None:
    """Print the line; with DEBUG=1, first the traceback of the current exception."""
    if os.environ.get("DEBUG"):
        traceback.print_exc()
    print(line, file=sys.stderr)


def _place(error: Exception) -> str:
    """The innermost line of this project in the traceback."""
    ours = [
        f"{Path(frame.filename).relative_to(_PROJECT)}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(_PROJECT) and ".venv" not in Path(frame.filename).parts
    ]
    return ours[-1] if ours else "outside this project"


def _escape_unprintable() -> None:
    """Print escapes for characters that the terminal cannot show; on an ASCII terminal, an emoji would be an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _with_inputs(argv: Sequence[str]) -> list[str]:
    if "--inputs" not in argv[:-1]:
        return list(argv)
    at = argv.index("--inputs")
    try:
        words = shlex.split(argv[at + 1])
    except ValueError as error:
        raise UsageError(f"INPUTS={argv[at + 1]}: {str(error).lower()}: write it as for a shell") from error
    return [*argv[:at], *words, *argv[at + 2 :]]


@contextmanager
def signals_to(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Send Ctrl-C and SIGTERM to `handler` until the block ends."""
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt at the first signal and ignore later ones, because make sends a copy of it."""
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def _interruptible(command: Callable[..., Any]) -> Callable[..., Any]:
    """Turn Ctrl-C into typer's Abort, because typer itself would end the process without a message."""

    @functools.wraps(command)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        try:
            return command(*arguments, **options)
        except KeyboardInterrupt:
            raise typer.Abort from None

    return wrapped
