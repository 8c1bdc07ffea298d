"""Shows a download's progress as plain lines, for logs: setup in a container, and commands without a terminal."""

import sys
import threading
import time
from typing import TextIO

_SECONDS = 5
_WORTH_A_LINE = 1_000_000


class PlainLines:
    """Prints a line every few seconds with amount, speed and remaining time; nothing for less than a megabyte."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._lock = threading.Lock()
        self._total = self._done = self._begun_with = 0
        self._begun = self._printed = time.monotonic()

    def start(self, total: int, done: int) -> None:
        """Begin a download of `total` bytes, `done` of which are present already."""
        self._total, self._done, self._begun_with = total, done, done
        self._begun = self._printed = time.monotonic()
        if total - done >= _WORTH_A_LINE:
            there = f", {done / 1e6:.0f} MB of it here already" if done else ""
            print(f"downloading {total / 1e6:.0f} MB{there}", file=self._out, flush=True)

    def advance(self, count: int) -> None:
        """Add `count` received bytes."""
        with self._lock:
            self._done += count
            if time.monotonic() - self._printed >= _SECONDS:
                self._print()

    def stop(self) -> None:
        """End, with a last line if anything was downloaded."""
        with self._lock:
            if self._done - self._begun_with >= _WORTH_A_LINE:
                self._print()

    def _print(self) -> None:
        self._printed = time.monotonic()
        speed = (self._done - self._begun_with) / max(self._printed - self._begun, 1e-9)
        left = f", {(self._total - self._done) / speed:.0f} s left" if 0 < self._done < self._total and speed else ""
        share = 100 * self._done / max(self._total, 1)
        print(
            f"{self._done / 1e6:.0f} of {self._total / 1e6:.0f} MB ({share:.0f} %), {speed / 1e6:.0f} MB/s{left}",
            file=self._out,
            flush=True,
        )
