"""Polling until something is true, and repeating calls that failed."""

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


def until(ask: Callable[[], Answer], seconds: float, pause: float = 0.05) -> Answer:
    """The first true answer of `ask`, or its last one after `seconds`; `pause`: seconds between two calls."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()) and time.monotonic() < deadline:
        time.sleep(pause)
    return answer


def retry(
    act: Callable[[], Answer],
    is_temporary: Callable[[BaseException], bool],
    tries: int,
    announce: Callable[[], None] = lambda: None,
) -> Answer:
    """The result of `act`. It is called again, after a growing pause, if `is_temporary` is true for its exception.

    `announce` is called before each repetition. The last exception is raised.
    """
    import tenacity

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_temporary),
        wait=tenacity.wait_exponential(0.5, max=8),
        stop=tenacity.stop_after_attempt(tries),
        before_sleep=lambda _: announce(),
        reraise=True,
    )(act)
