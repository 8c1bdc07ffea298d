"""Adds what is missing from Cog's runtime to the process that runs predictions."""

from collections.abc import Callable

from models import cancellation, file_inputs, leftovers, watchdog


def complete(announce: Callable[[], None] | None = None) -> None:
    """Make cancels reliable, remove what predictions leave on the disk, end the server when its worker has died.

    Call it in setup.

    `announce` is called when a prediction begins, before its inputs are read.
    """
    cancellation.install(announce)
    file_inputs.install()
    leftovers.install()
    watchdog.install()
