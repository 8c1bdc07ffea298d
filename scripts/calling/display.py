"""What a call shows while it runs: the model's text on standard output, everything else on standard error."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_SECONDS_BEFORE_A_STATUS = 0.8
_SECONDS_BETWEEN_REMINDERS = 10


class Display:
    """`shows_text`: print text as it arrives; `is_quiet`: do not show progress and logs."""

    def __init__(self, shows_text: bool = True, is_quiet: bool = False) -> None:
        self.shows_text, self._is_quiet = shows_text, is_quiet
        self._text = self._logs = self._status = ""
        self._since = self._reminded = time.monotonic()

    def say(self, line: str) -> None:
        """Show a line of progress, unless quiet."""
        if not self._is_quiet:
            print(line, file=sys.stderr, flush=True)

    def warn(self, line: str) -> None:
        """Show a line, also when quiet."""
        print(line, file=sys.stderr, flush=True)

    def status(self, status: str) -> None:
        """Show each new status once, and a reminder every ten seconds while it lasts."""
        now = time.monotonic()
        if status != self._status:
            self._status, self._since, self._reminded = status, now, now
            self.say(status)
        elif now - self._reminded >= _SECONDS_BETWEEN_REMINDERS:
            self._reminded = now
            self.say(f"still {status} after {now - self._since:.0f} s")

    @contextmanager
    def meanwhile(self, status: str) -> Iterator[None]:
        """Show `status` while the block waits for one answer; show nothing if the answer comes at once."""
        is_over = threading.Event()

        def remind() -> None:
            while not is_over.wait(_SECONDS_BEFORE_A_STATUS):
                self.status(status)

        reminder = threading.Thread(target=remind, daemon=True)
        reminder.start()
        try:
            yield
        finally:
            is_over.set()
            reminder.join()

    def text(self, piece: str) -> None:
        """Show the next piece of the output."""
        self._text += piece
        if self.shows_text:
            sys.stdout.write(piece)
            sys.stdout.flush()

    def text_up_to(self, whole: str) -> None:
        """Show the output so far, without the text already shown."""
        shown, known = _lines(self._text), _lines(whole)
        if known.startswith(shown):
            self.text(known[len(shown) :])
        elif not shown.startswith(known):
            self._text = whole
            if self.shows_text:
                self.warn("\nthe stream lost a part of the text; --json prints all of it")

    def logs(self, piece: str) -> None:
        """Show the next piece of the model's logs."""
        self._logs += piece
        if not self._is_quiet:
            sys.stderr.write(piece)
            sys.stderr.flush()

    def logs_up_to(self, whole: str) -> None:
        """Show the logs so far, without the text already shown."""
        if whole.startswith(self._logs):
            self.logs(whole[len(self._logs) :])

    def end_line(self) -> None:
        """End the text's last line."""
        if self.shows_text and self._text and not self._text.endswith("\n"):
            sys.stdout.write("\n")
            sys.stdout.flush()


def _lines(text: str) -> str:
    """With only line feeds, the one line ending that server-sent events can carry."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
