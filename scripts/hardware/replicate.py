"""Replicate's hardware by its API's SKUs, with memory and prices, which that API does not list: from the price list."""

from functools import cache
from typing import NamedTuple

from scripts.hardware import price_list


class Hardware(NamedTuple):
    """`sku` as in the API; `memory_gb`: of the GPU (0: none); `dollars_a_second`: while it is billed."""

    sku: str
    memory_gb: float
    dollars_a_second: float


_PROVIDER = "replicate/"


@cache
def known() -> dict[str, Hardware]:
    """Every hardware of Replicate, by its SKU."""
    listed = [one for one in price_list.hardware_of(price_list.shipped()) if one.name.startswith(_PROVIDER)]
    made = [
        Hardware(one.name.removeprefix(_PROVIDER), one.memory_gb if one.gpu else 0, one.dollars_a_second)
        for one in listed
    ]
    return {one.sku: one for one in made}


def that_fit(gigabytes: float) -> list[Hardware]:
    """The GPUs whose memory holds so much, the cheapest first."""
    fitting = [one for one in known().values() if gigabytes <= one.memory_gb * price_list.SHARE_FOR_WEIGHTS]
    return sorted(fitting, key=lambda one: one.dollars_a_second)


def dollars(seconds: float, sku: str) -> float | None:
    """What a prediction of so many seconds costs on a SKU; None where its price is unknown. gpu-l40s-2x is two."""
    prices = {one.sku: one.dollars_a_second for one in known().values()}
    base, _, times = sku.rpartition("-")
    if times[:-1].isdigit() and times.endswith("x") and base in prices:
        return seconds * prices[base] * int(times[:-1])
    return seconds * prices[sku] if sku in prices else None
