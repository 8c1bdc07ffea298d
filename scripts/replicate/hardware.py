"""Replicate's hardware. Its API lists SKUs without memory or prices; these are of its pricing page as of March 2026.

https://replicate.com/pricing
"""

from typing import NamedTuple


class Hardware(NamedTuple):
    """`sku` as in the API; `memory_gb`: of the GPU (0: none); `dollars_a_second`: while it is billed."""

    sku: str
    memory_gb: int
    dollars_a_second: float


HARDWARE = (
    Hardware("cpu", 0, 0.000100),
    Hardware("gpu-t4", 16, 0.000225),
    Hardware("gpu-l40s", 48, 0.000975),
    Hardware("gpu-a100-large", 80, 0.001400),
    Hardware("gpu-h100", 80, 0.001525),
)
_SHARE_FOR_WEIGHTS = 0.9  # the rest is CUDA's own and what a step computes


def that_fit(gigabytes: float) -> list[Hardware]:
    """The GPUs whose memory holds so much, the cheapest first."""
    fitting = [one for one in HARDWARE if gigabytes <= one.memory_gb * _SHARE_FOR_WEIGHTS]
    return sorted(fitting, key=lambda one: one.dollars_a_second)
