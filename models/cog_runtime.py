"""Adds what is missing from Cog's runtime to the process that runs predictions."""

from collections.abc import Callable

from models import cancellation, leftovers, watchdog


def complete(announce: Callable[[], None] | None = None) -> None:
    """Give streams a cancel signal, remove what predictions leave on the disk, end the server when its worker has died.

    Call it in setup.

    `announce` is called when a prediction begins, before its inputs are read.
    """
    cancellation.install(announce)
    leftovers.install()
    watchdog.install()
