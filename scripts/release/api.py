"""Replicate's API as the stages ask it: again for some seconds, so that no ship ends for a bad moment there."""

from collections.abc import Callable
from typing import TypeVar

from scripts.replicate.client import explained, patiently

Answer = TypeVar("Answer")


def ask(what: str, act: Callable[[], Answer]) -> Answer:
    """Do what may be done twice, about `what` ("the model acme/smollm2"); the answer.

    Raises:
        ReplicateRefusal: Replicate refused, or still does not answer.
    """

    def once() -> Answer:
        with explained(what):
            return act()

    return patiently(once)
