"""A plan: channels of income and monthly costs. Each number is a value or a range, and has a source. Read strictly."""

import datetime
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from models import strict
from models.errors import TemplateError
from models.strict import Strict

Kind = Literal["predictions", "hub-inference", "subscriptions", "store-share", "consulting"]
UNITS: dict[str, str] = {
    "predictions": "predictions",
    "hub-inference": "requests",
    "subscriptions": "subscribers",
    "store-share": "sales",
    "consulting": "jobs",
}
Z90 = 1.2815515655446004
"""The 90th percentile of the standard normal distribution."""


class PlanError(TemplateError):
    """A plan is wrong; names file, key and remedy."""


class Quantity(Strict):
    """A number, or a range of it.

    `low`, `likely`, `high`: hard limits and the mode of a triangular distribution; `likely` is the middle by default.
    `p10`, `p90`: the 10th and 90th percentile of a lognormal distribution, for what varies by factors and cannot be
    negative. A plain number needs no keys. `estimate`: the report marks it as one.
    """

    value: float | None = None
    low: float | None = None
    likely: float | None = None
    high: float | None = None
    p10: float | None = Field(default=None, gt=0)
    p90: float | None = Field(default=None, gt=0)
    source: str = ""
    estimate: bool = False

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, given: Any) -> Any:
        if isinstance(given, bool) or not isinstance(given, int | float | dict | Quantity):
            raise ValueError(f"{given!r} is not a number: write 0.05 or 100000, or {{low: 1, likely: 2, high: 3}}")
        return given if isinstance(given, dict | Quantity) else {"value": given}

    @model_validator(mode="after")
    def _one_form(self) -> "Quantity":
        forms = [self.value is not None, self.low is not None or self.high is not None, self.p10 is not None]
        if sum(forms) != 1 or (self.low is None) != (self.high is None) or (self.p10 is None) != (self.p90 is None):
            raise ValueError("must be a value, or low and high (and likely), or p10 and p90")
        if self.likely is not None and self.low is None:
            raise ValueError("likely needs low and high beside it")
        ordered = [one for one in (self.low, self.likely, self.high, self.p10, self.p90) if one is not None]
        if ordered != sorted(ordered):
            raise ValueError("its limits are not in order: write the lowest first")
        return self

    @property
    def is_range(self) -> bool:
        return self.value is None

    def ends(self) -> tuple[float, float]:
        """Its limits, or its 10th and 90th percentile."""
        low = next(one for one in (self.value, self.low, self.p10) if one is not None)
        return low, next(one for one in (self.value, self.high, self.p90) if one is not None)

    def percentile(self, share: float) -> float:
        """The value below which the quantity is with probability `share`, one of 0.1, 0.5, 0.9."""
        low, high = self.ends()
        if self.value is not None or low == high:
            return low
        if self.p10 is not None:
            return {0.1: low, 0.5: math.sqrt(low * high), 0.9: high}[share]
        mode = self.mode()
        if share <= (mode - low) / (high - low):
            return low + math.sqrt(share * (high - low) * (mode - low))
        return high - math.sqrt((1 - share) * (high - low) * (high - mode))

    def mode(self) -> float:
        """The likely value of a triangular range."""
        low, high = self.ends()
        return self.likely if self.likely is not None else (low + high) / 2


def _between(least: float, most: float, what: str, remedy: str) -> AfterValidator:
    def check(quantity: Quantity) -> Quantity:
        low, high = quantity.ends()
        if quantity.p10 is not None and most < math.inf:
            raise ValueError(f"a {what} has limits: write low and high, not p10 and p90")
        if low < least or high > most:
            raise ValueError(f"{low if low < least else high:g} is not a valid {what}: {remedy}")
        return quantity

    return AfterValidator(check)


Amount = Annotated[Quantity, _between(0, math.inf, "amount", "write 0 or more")]
Share = Annotated[Quantity, _between(0, 1, "share", "write 0 to 1, where 0.25 is 25 %")]
Growth = Annotated[Quantity, _between(-1, 100, "growth", "write 0.05 for 5 % a month")]
NONE, ALL = Quantity(value=0), Quantity(value=1)


class Step(Strict):
    """A step from free to paid; `share`: of the people before it who take it."""

    name: str = Field(min_length=1)
    share: Share


class MeasuredCost(Strict):
    """A cost computed from measurements of the plan's model on `hardware`.

    Billed `public`, it is the cost of each run; otherwise the cost of a month at the highest volume of the range.
    """

    hardware: str
    billing: Literal["public", "scale-to-zero", "always-on"] = "public"
    input_tokens: float | None = Field(default=None, ge=0)
    output_tokens: float | None = Field(default=None, ge=0)
    images: float | None = Field(default=None, ge=0)
    audio_seconds: float | None = Field(default=None, ge=0)


class Channel(Strict):
    """A source of income. `volume`: predictions, requests, free users who come, sales or jobs in the first month.

    `conversion`: the share of the volume that pays, or the steps on the way there; `price`: US$ a unit (of a
    subscriber, a month); `share`: of the price that is ours; `cost`: US$ a paid unit, or `measured_cost`; `free_cost`:
    US$ a unit that did not pay; `fixed`: US$ a month; `growth`: of the volume, a month; `churn`: of those who pay, a
    month; `subscribers`: those of before the first month. `source`: of every number that has none of its own.
    """

    name: str = Field(min_length=1)
    kind: Kind
    volume: Amount
    price: Amount
    source: str = Field(min_length=1)
    conversion: list[Step] = []
    share: Share = ALL
    cost: Amount = NONE
    measured_cost: MeasuredCost | None = None
    free_cost: Amount = NONE
    fixed: Amount = NONE
    growth: Growth = NONE
    churn: Share = NONE
    subscribers: Amount = NONE

    @model_validator(mode="before")
    @classmethod
    def _one_step(cls, given: Any) -> Any:
        """A conversion that is a number or a range is a single step."""
        if isinstance(given, dict) and "conversion" in given and not isinstance(given["conversion"], list):
            return {**given, "conversion": [{"name": "pay", "share": given["conversion"]}]}
        return given

    @model_validator(mode="after")
    def _costs_once(self) -> "Channel":
        if self.measured_cost and self.cost is not NONE:
            raise ValueError("cost and measured_cost are both given: keep one")
        if self.measured_cost and self.measured_cost.billing != "public" and self.fixed is not NONE:
            raise ValueError("fixed and measured_cost are both given: keep one, or list the other under costs")
        if len({step.name for step in self.conversion}) < len(self.conversion):
            raise ValueError("two steps of conversion have one name: give each its own")
        if self.kind != "subscriptions" and self.subscribers is not NONE:
            raise ValueError("only subscriptions have subscribers: remove it")
        return self

    @property
    def costs_are_estimates(self) -> bool:
        return any(quantity.estimate for quantity in (self.cost, self.free_cost, self.fixed))

    def quantities(self) -> Iterator[tuple[str, Quantity]]:
        """Each of its numbers, by key."""
        for key in ("volume", "price", "share", "cost", "free_cost", "fixed", "growth", "churn", "subscribers"):
            yield key, getattr(self, key)
        for step in self.conversion:
            yield f"conversion: {step.name}", step.share


class MonthlyCost(Strict):
    """What is paid every month, whatever is sold (US$)."""

    name: str = Field(min_length=1)
    amount: Amount
    source: str = Field(min_length=1)


class Plan(Strict):
    """The whole file. `date`: of its prices; `model`: of the catalog, needed if a cost comes from measurements."""

    title: str = Field(min_length=1)
    date: datetime.date
    model: str = ""
    channels: list[Channel] = Field(min_length=1)
    costs: list[MonthlyCost] = []

    @model_validator(mode="after")
    def _distinct(self) -> "Plan":
        names = [*(one.name for one in self.channels), *(one.name for one in self.costs)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two are named {twice[0]!r}: give each its own name")
        if not self.model and any(one.measured_cost for one in self.channels):
            raise ValueError("measured_cost needs the key model: a model of the catalog")
        return self

    def quantities(self) -> Iterator[tuple[str, Quantity, str]]:
        """Every number: its key, its range, its source."""
        for channel in self.channels:
            for key, quantity in channel.quantities():
                yield f"{channel.name}: {key}", quantity, quantity.source or channel.source
        for one in self.costs:
            yield one.name, one.amount, one.amount.source or one.source


def read(path: Path) -> Plan:
    """The plan at `path`.

    Raises:
        PlanError: it is missing or wrong; names file, key and remedy.
    """
    if not path.is_file():
        raise PlanError(f"there is no plan {path}: make revenue PLAN=examples/plans/sketch.yaml shows one")
    return strict.read(path, Plan, PlanError)
