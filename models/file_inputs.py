"""Reads file inputs on threads that setup has started, because a cancel may hang a prediction that starts one.

coglet 0.22 starts threads for each prediction with file inputs (crates/coglet-python/src/input.rs), and cancels by an
exception that Python raises in the thread with a given number. Up to Python 3.11 a new thread has the number of the one
that starts it for a moment. If it takes the exception, it ends, its starter waits for it forever, and the slot is lost.

tests/template/server/test_file_inputs.py fails when the runtime no longer does so. Then delete this file, or once no
image has Python 3.11 any more.
"""

import concurrent.futures
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_RUNTIMES_THREADS = 8  # what the runtime asks for; its health check asks for one
_THREADS = 32  # for the files of all predictions that run


class _Ready(ThreadPoolExecutor):
    """Threads that run, and stay when a prediction has read its files."""

    def __init__(self) -> None:
        super().__init__(_THREADS, "file-inputs")
        all_run = threading.Barrier(_THREADS)
        list(self.map(lambda _: all_run.wait(), range(_THREADS)))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Nothing: the next prediction needs them."""


def install() -> None:
    """Give the runtime threads that run already. Call it in setup; a second call changes nothing."""
    if sys.version_info >= (3, 12) or concurrent.futures.ThreadPoolExecutor is not ThreadPoolExecutor:
        return
    ready = _Ready()

    class Executor(ThreadPoolExecutor):
        """The library's own, except for the runtime, which calls it from no Python code."""

        def __new__(cls, max_workers: int | None = None, *_: Any, **__: Any) -> Any:
            is_the_runtime = max_workers == _RUNTIMES_THREADS and sys._getframe().f_back is None
            return ready if is_the_runtime and cls is Executor else super().__new__(cls)

    concurrent.futures.ThreadPoolExecutor = Executor  # type: ignore[misc]
