"""The one way to wait for something that is asked again and again, and to try again what failed."""

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


def until(ask: Callable[[], Answer], seconds: float, pause: float = 0.05) -> Answer:
    """The first true answer of `ask`, or the last one when `seconds` have passed; `pause`: seconds between two asks."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()) and time.monotonic() < deadline:
        time.sleep(pause)
    return answer


def retried(
    act: Callable[[], Answer],
    passes: Callable[[BaseException], bool],
    tries: int,
    announce: Callable[[], None] = lambda: None,
) -> Answer:
    """What `act` returns, tried again after each exception that `passes` by itself, each time after a longer pause.

    `announce` is called before each further try. The last exception is raised.
    """
    import tenacity

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(passes),
        wait=tenacity.wait_exponential(0.5, max=8),
        stop=tenacity.stop_after_attempt(tries),
        before_sleep=lambda _: announce(),
        reraise=True,
    )(act)
