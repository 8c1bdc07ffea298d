"""The price list: prices.yaml, read strictly. Every price has a source, a date and a confidence."""

import datetime
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from models import strict
from models.errors import TemplateError
from models.strict import Strict

PATH = Path(__file__).with_name("prices.yaml")
STALE_DAYS = 90
SHARE_FOR_WEIGHTS = 0.9
"""The share of a GPU's memory for weights and cache; the rest is for CUDA itself and the activations of a step."""
Billing = Literal["public", "scale-to-zero", "always-on"]
BILLINGS: tuple[Billing, ...] = ("public", "scale-to-zero", "always-on")
Confidence = Literal["high", "medium", "low"]


class PriceError(TemplateError):
    """The price list is wrong, or does not have the hardware."""


class Sourced(Strict):
    """A fact with its source, and the date when it was read there."""

    source: str = Field(min_length=1)
    date: datetime.date


class Range(Strict):
    """From `low` to `high`. Without `likely`, the middle is their geometric mean, or half of `high` if `low` is 0."""

    low: float = Field(ge=0)
    high: float = Field(ge=0)
    likely: float | None = None

    @property
    def middle(self) -> float:
        """The likely value."""
        if self.likely is not None:
            return self.likely
        return float((self.low * self.high) ** 0.5) if self.low else self.high / 2


class Sold(Strict):
    """Hardware of a provider. `dollars`: a second or an hour, as in the provider's `per`; memory in GB."""

    dollars: float = Field(ge=0)
    cores: int = Field(default=0, ge=0)
    memory_gb: float = Field(default=0, ge=0)
    gpu: str = ""
    gpu_memory_gb: float = 0
    source: str = ""
    date: datetime.date | None = None
    confidence: Confidence | None = None


class Provider(Sourced):
    """A provider of hardware, and how it bills. `idle_seconds`: how long an idle instance runs before it is stopped."""

    title: str
    confidence: Confidence
    per: Literal["second", "hour"]
    billing: list[Billing] = Field(min_length=1)
    bills_setup: bool
    idle_seconds: Range
    max_instances: int | None = None
    hardware: dict[str, Sold] = Field(min_length=1)


class Gpu(Sourced):
    """A GPU, from its data sheet."""

    memory_gb: float = Field(gt=0)
    bandwidth_gb_s: float = Field(gt=0)
    tflops: float = Field(gt=0)


class Estimates(Sourced):
    """The share of the data sheet's figures that a real engine reaches, and the overhead of a step (ms)."""

    share_of_bandwidth: Range
    share_of_tflops: Range
    overhead_ms: Range


class Convention(Sourced):
    """A number that the providers' own pages calculate with."""

    value: float = Field(gt=0)


class Conventions(Strict):
    """`utilisation`: of an instance, above which another one is started."""

    hours_a_month: Convention
    utilisation: Convention


class PriceList(Strict):
    providers: dict[str, Provider] = Field(min_length=1)
    gpus: dict[str, Gpu]
    estimates: Estimates
    conventions: Conventions


@dataclass(frozen=True)
class Hardware:
    """Rentable hardware. `name`: PROVIDER/HARDWARE; `memory_gb`: of the memory in which the model must fit.

    `gpu_name`: its name in the price list, "" if there is no GPU.
    """

    name: str
    provider: Provider
    dollars_a_second: float
    cores: int
    memory_gb: float
    gpu_name: str
    gpu: Gpu | None
    source: str
    date: datetime.date
    confidence: Confidence

    def is_in(self, machine: str) -> bool:
        """Whether a machine has this GPU (not a part of it), by its driver's name for it: NVIDIA A100-SXM4-80GB."""
        words = set(re.split(r"[^A-Za-z0-9]+", machine))
        return self.gpu is not None and words.issuperset(self.gpu_name.split("-")) and "MIG" not in words

    @property
    def idle_seconds(self) -> float:
        """How long an idle instance likely runs before it is stopped."""
        return self.provider.idle_seconds.middle

    def age(self, today: datetime.date) -> int:
        """Days since the price was seen."""
        return (today - self.date).days


def read(path: Path = PATH) -> PriceList:
    """The price list.

    Raises:
        PriceError: the file is missing or wrong: file, key and remedy.
    """
    if not path.is_file():
        raise PriceError(f"{path} is missing: git checkout {path}")
    prices = strict.read(path, PriceList, PriceError)
    for provider, offer in prices.providers.items():
        for name, sold in offer.hardware.items():
            if sold.gpu and sold.gpu not in prices.gpus:
                key = f"providers.{provider}.hardware.{name}.gpu"
                raise PriceError(
                    f"{path}: {key}: no GPU {sold.gpu!r} under gpus{strict.suggestion(sold.gpu, [*prices.gpus])}"
                )
    return prices


@cache
def shipped() -> PriceList:
    return read()


def hardware_of(prices: PriceList) -> list[Hardware]:
    """All rentable hardware, in the list's order."""
    found = []
    for provider, offer in prices.providers.items():
        for name, sold in offer.hardware.items():
            gpu = prices.gpus[sold.gpu] if sold.gpu else None
            found.append(
                Hardware(
                    name=f"{provider}/{name}",
                    provider=offer,
                    dollars_a_second=sold.dollars / (3600 if offer.per == "hour" else 1),
                    cores=sold.cores,
                    memory_gb=(sold.gpu_memory_gb or gpu.memory_gb) if gpu else sold.memory_gb,
                    gpu_name=sold.gpu,
                    gpu=gpu,
                    source=sold.source or offer.source,
                    date=sold.date or offer.date,
                    confidence=sold.confidence or offer.confidence,
                )
            )
    return found


def providers(prices: PriceList, named: str) -> list[str]:
    """The providers in a comma-separated list.

    Raises:
        PriceError: one is not in the price list.
    """
    names = [name for name in named.split(",") if name]
    for name in names:
        if name not in prices.providers:
            near = strict.suggestion(name, [*prices.providers])
            raise PriceError(f"--only: no provider {name!r} in the price list{near}")
    return names


def find(prices: PriceList, name: str, where: str = "--hardware") -> Hardware:
    """The hardware `name`; `where`: the option or key that names it, for errors.

    Raises:
        PriceError: there is none; names the nearest.
    """
    known = {one.name: one for one in hardware_of(prices)}
    if name not in known:
        raise PriceError(f"{where}: no hardware {name!r} in the price list{strict.suggestion(name, [*known])}")
    return known[name]
