"""Progress on standard error: a bar, or plain lines for a download if standard error is not a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from models.weights.download import Progress
from models.weights.progress import PlainLines
from scripts.cli import console


def progress() -> Progress:
    """A bar on a terminal, plain lines elsewhere."""
    return Bar() if sys.stderr.isatty() else PlainLines(sys.stderr)


@contextmanager
def counted(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar that disappears when the block ends; call the yielded function with the number done, out of `total`."""
    from rich.progress import Progress as RichProgress

    with RichProgress(console=console.stderr(), transient=True) as shown:
        task = shown.add_task(what, total=total)
        yield lambda done: shown.update(task, completed=done)


class Bar:
    """A bar with speed and remaining time."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None

    def start(self, total: int, done: int) -> None:
        from rich import progress

        columns = (progress.BarColumn(), progress.DownloadColumn(), progress.TransferSpeedColumn())
        self._bar = progress.Progress(*columns, progress.TimeRemainingColumn(), console=console.stderr())
        self._bar.start()
        self._task = self._bar.add_task("download", total=total, completed=done)

    def advance(self, count: int) -> None:
        self._bar.advance(self._task, count)

    def stop(self) -> None:
        """Stop drawing; the bar stays as it is."""
        if self._bar:
            self._bar.stop()
            self._bar = None
