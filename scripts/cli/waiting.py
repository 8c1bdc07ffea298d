"""The one way to wait for something that is asked again and again."""

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
