"""What to charge: the price for a margin, the load that covers the costs, what is left at a price."""

import math
from collections.abc import Callable

from models.errors import TemplateError

MOST = 10**12


class PricingError(TemplateError):
    """A margin or share for which there is no price."""


def price_for(margin: float, costs: float, units: float, share: float = 1.0) -> float:
    """US$ a unit, of which `share` is ours, so that `margin` of what we get is left after `costs` (US$).

    Raises:
        PricingError: there is no such price.
    """
    if not 0 <= margin < 1:
        raise PricingError(f"a margin of {margin:g} has no price: write 0.5 for 50 %, at most 0.99")
    if not 0 < share <= 1:
        raise PricingError(f"a share of {share:g} is not valid: write 0.8 where 80 % of the price is yours")
    return costs / (units * share * (1 - margin))


def left(price: float, share: float, units: float, costs: float) -> float:
    """US$ that remain of `units` sold."""
    return price * share * units - costs


def break_even(price: float, share: float, costs: Callable[[float], float | None]) -> float | None:
    """The smallest whole number of units whose income covers `costs(units)`; None if there is none.

    Costs that grow in steps, an instance at a time, may exceed the income again above it.
    """

    def covered(units: int) -> bool:
        spent = costs(units)
        return spent is not None and price * share * units >= spent - 1e-9

    low, high = 0, 1
    while not covered(high):
        low, high = high, max(math.ceil(high * 1.02), high + 1)
        if high > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if covered(middle) else (middle, high)
    return high


def break_even_volume(price: float, share: float, cost: float, fixed: float) -> float | None:
    """The units that cover a `cost` for each and a `fixed` cost a month; None where each unit loses money."""
    gain = price * share - cost
    if gain <= 0:
        return None if fixed or gain < 0 else 0.0
    return fixed / gain
