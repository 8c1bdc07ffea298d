"""Replicate's hardware by SKU, with memory and prices from the price list: Replicate's API does not have them."""

from functools import cache

from scripts.hardware import price_list
from scripts.hardware.price_list import Hardware

_PROVIDER = "replicate/"


@cache
def known() -> dict[str, Hardware]:
    """All hardware of Replicate, by its SKU in the API."""
    listed = price_list.hardware_of(price_list.shipped())
    return {one.name.removeprefix(_PROVIDER): one for one in listed if one.name.startswith(_PROVIDER)}


def that_fit(gigabytes: float) -> list[str]:
    """The SKUs of the GPUs with enough memory for `gigabytes`, the cheapest first."""
    room = {sku: one.memory_gb * price_list.SHARE_FOR_WEIGHTS for sku, one in known().items() if one.gpu}
    fitting = [sku for sku in room if gigabytes <= room[sku]]
    return sorted(fitting, key=lambda sku: known()[sku].dollars_a_second)


def single(sku: str) -> tuple[str, int]:
    """The SKU of one piece of the hardware, and how many it is: gpu-l40s-2x is two of gpu-l40s."""
    base, _, times = sku.rpartition("-")
    is_several = base in known() and times.endswith("x") and times[:-1].isdigit()
    return (base, int(times[:-1])) if is_several else (sku, 1)


def dollars(seconds: float, sku: str) -> float | None:
    """The cost of a prediction of `seconds` on a SKU; None if its price is unknown."""
    base, count = single(sku)
    return seconds * known()[base].dollars_a_second * count if base in known() else None
