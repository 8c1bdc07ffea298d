"""What every command does at its edge: run a typer app and turn whatever goes wrong into one line and an exit code."""

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
from scripts.cli.connection import spare_this_machine

REFUSED, WRONG_USAGE, CANCELLED = 1, 2, 130
_PROJECT = Path(__file__).parents[2]
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_TRACE = ": DEBUG=1 shows the trace"
_FREE_ROOM = ": free some room there, or choose another place (TMPDIR for what is temporary)"
_REMEDIES = {
    errno.ENOSPC: _FREE_ROOM,
    errno.EDQUOT: _FREE_ROOM,
    errno.EACCES: ": see whose it is, and that you may write there",
    errno.EPERM: ": see whose it is, and that you may write there",
    errno.EROFS: ": that place can only be read; choose another (TMPDIR for what is temporary)",
}


class UsageError(TemplateError):
    """A command line that makes no sense; exit code 2."""


def run(command: Callable[..., Any], argv: list[str], name: str) -> int:
    """Run the function `command` with typer; 0 done, 1 refused with a reason, 2 wrong usage, 130 cancelled.

    An exception is shown as one line, with its traceback only where DEBUG is set. An unexpected one exits 1.
    In `argv`, `--inputs TEXT` stands for the words of TEXT, split as a shell splits them; the Makefile gives INPUTS so.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(_interruptible(command))
    spare_this_machine()
    _show_what_cannot_be_shown_as_escapes()
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
    """One line for an exception that no code handles: what it is, where, and what to do.

    An OSError comes from the machine and names the file; anything else may be a bug of this project.
    """
    if isinstance(error, ModuleNotFoundError):
        return missing(error)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror.lower()}{_REMEDIES.get(error.errno or 0, _TRACE)}"
    return f"{in_words(error)} ({_place(error)}){_TRACE}"


def _print_error(line: str) -> None:
    """Print it, with DEBUG=1 after the traceback of the exception that is handled."""
    if os.environ.get("DEBUG"):
        traceback.print_exc()
    print(line, file=sys.stderr)


def _place(error: Exception) -> str:
    """The last line of this project that the exception passed."""
    ours = [
        f"{Path(frame.filename).relative_to(_PROJECT)}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(_PROJECT) and ".venv" not in Path(frame.filename).parts
    ]
    return ours[-1] if ours else "outside this project"


def _show_what_cannot_be_shown_as_escapes() -> None:
    """On a terminal that knows only ASCII, Python would raise an exception at an emoji."""
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
    """Ctrl-C and SIGTERM go to `handler` until the block ends."""
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt at the first signal, and ignore later ones: make sends a copy of it."""
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
