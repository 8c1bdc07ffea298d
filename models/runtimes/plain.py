"""Plain Python: the task's own code computes, with the weights as they were downloaded, where there are any."""

from collections.abc import Sequence

PACKAGES = ()
CONVERTER = ()
EDITION = "1"


def reads(names: Sequence[str]) -> bool:
    """Every file, as it is: nothing is ever made of them."""
    return True
