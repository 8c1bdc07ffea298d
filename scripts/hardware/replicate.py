"""Replicate's hardware by SKU, with memory and prices from the price list: Replicate's API does not have them."""

from functools import cache
from typing import NamedTuple

from scripts.hardware import price_list


class Hardware(NamedTuple):
    """`sku`: as in the API; `memory_gb`: of the GPU (0: none); `dollars_a_second`: while it is billed."""

    sku: str
    memory_gb: float
    dollars_a_second: float


_PROVIDER = "replicate/"


@cache
def known() -> dict[str, Hardware]:
    """All hardware of Replicate, by SKU."""
    listed = [one for one in price_list.hardware_of(price_list.shipped()) if one.name.startswith(_PROVIDER)]
    made = [
        Hardware(one.name.removeprefix(_PROVIDER), one.memory_gb if one.gpu else 0, one.dollars_a_second)
        for one in listed
    ]
    return {one.sku: one for one in made}


def that_fit(gigabytes: float) -> list[Hardware]:
    """The GPUs with enough memory for `gigabytes`, the cheapest first."""
    fitting = [one for one in known().values() if gigabytes <= one.memory_gb * price_list.SHARE_FOR_WEIGHTS]
    return sorted(fitting, key=lambda one: one.dollars_a_second)


def dollars(seconds: float, sku: str) -> float | None:
    """The cost of a prediction of `seconds` on a SKU; None if its price is unknown. gpu-l40s-2x means two GPUs."""
    prices = {one.sku: one.dollars_a_second for one in known().values()}
    base, _, times = sku.rpartition("-")
    if times[:-1].isdigit() and times.endswith("x") and base in prices:
        return seconds * prices[base] * int(times[:-1])
    return seconds * prices[sku] if sku in prices else None
