"""How long predictions take on some hardware: as measured there, or else an estimate with a range.

A GPU is estimated from its data sheet: each step reads the weights and the key-value cache once (bandwidth), a prompt
takes two operations for each parameter and token (tflops), and each step has an overhead. A CPU is estimated from the
measured ones: at best as fast as the fastest, scaled by the number of cores; at worst as slow as the slowest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from models.engine import BYTES
from models.manifest import Manifest
from scripts import tasks
from scripts.economics.fit import Fit, by_streams
from scripts.economics.receipts import Measurement
from scripts.hardware import fit
from scripts.hardware.price_list import SHARE_FOR_WEIGHTS, Estimates, Gpu, Hardware, PriceList, Range

_STREAMS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Measured:
    """Measured on this hardware, or on the same GPU in another machine."""

    fits: Mapping[int, Fit]
    source: str
    start_seconds: float | None
    is_estimate: bool = False

    @property
    def streams(self) -> Sequence[int]:
        return [*self.fits]

    def seconds(self, sizes: Mapping[str, float], streams: int) -> Range:
        """Interpolated linearly between measured numbers of streams; outside them, as at the nearest one."""
        below = max([count for count in self.fits if count <= streams], default=min(self.fits))
        above = min([count for count in self.fits if count >= streams], default=max(self.fits))
        low, high = self.fits[below].seconds(sizes), self.fits[above].seconds(sizes)
        share = 0.0 if above <= below else (streams - below) / (above - below)
        return _between(low, high, share)

    def gaps(self, sizes: Mapping[str, float]) -> list[str]:
        unknown = dict.fromkeys(name for one in self.fits.values() for name in one.unknown(sizes))
        few = [count for count, one in self.fits.items() if one.residual is None]
        found = [f"what {name.replace('_', ' ')} cost was not measured: {self.source}" for name in unknown]
        if few:
            streams = ", ".join(map(str, few))
            found.append(f"too few points for a residual at {streams} at once: {self.source}")
        if any(one.is_noisy for one in self.fits.values()):
            found.append(f"something else ran during the measurement: its points are far from any fit: {self.source}")
        return found


@dataclass(frozen=True)
class FromDataSheet:
    """A GPU that was not measured."""

    gpu: Gpu
    estimates: Estimates
    parameters: int
    bytes_per_parameter: float
    cache_bytes_per_token: float
    streams: Sequence[int]
    start_seconds: float | None
    source: str
    is_estimate: bool = True

    def seconds(self, sizes: Mapping[str, float], streams: int) -> Range:
        inputs, outputs = sizes.get("input_tokens", 0), max(sizes.get("output_tokens", 1), 1)
        context = inputs + outputs / 2
        read = self.parameters * self.bytes_per_parameter + streams * context * self.cache_bytes_per_token
        at_best = read / (self.gpu.bandwidth_gb_s * 1e9)
        prompts = 2 * self.parameters * inputs * streams / (self.gpu.tflops * 1e12)
        bandwidth, tflops = self.estimates.share_of_bandwidth, self.estimates.share_of_tflops
        overhead = self.estimates.overhead_ms
        return Range(
            low=prompts / tflops.high + outputs * (at_best / bandwidth.high + overhead.low / 1000),
            high=prompts / tflops.low + outputs * (at_best / bandwidth.low + overhead.high / 1000),
        )

    def gaps(self, sizes: Mapping[str, float]) -> list[str]:
        return []


@dataclass(frozen=True)
class FromOtherCpus:
    """A CPU that was not measured; `measured`: speeds with the cores of their machines."""

    cores: int
    measured: Sequence[tuple[Measured, int]]
    source: str
    start_seconds: float | None
    is_estimate: bool = True

    @property
    def streams(self) -> Sequence[int]:
        most = min(max(speed.streams) for speed, _ in self.measured)
        return [count for count in self.measured[0][0].streams if count <= most]

    def seconds(self, sizes: Mapping[str, float], streams: int) -> Range:
        found = [(speed.seconds(sizes, streams), cores / self.cores) for speed, cores in self.measured]
        low = min(one.low * min(1, slower) for one, slower in found)
        return Range(low=low, high=max(one.high * max(1, slower) for one, slower in found))

    def gaps(self, sizes: Mapping[str, float]) -> list[str]:
        return list(dict.fromkeys(gap for speed, _ in self.measured for gap in speed.gaps(sizes)))


Speed: TypeAlias = Measured | FromDataSheet | FromOtherCpus
"""`streams`: the numbers of predictions at once with a known speed; `start_seconds`: of a cold start.

`seconds(sizes, streams)`: the time of each of `streams` predictions at once; `gaps(sizes)`: what was not measured.
"""


def speed_on(hardware: Hardware, model: Manifest, found: Sequence[Measurement], prices: PriceList) -> Speed | str:
    """How fast `model` is on `hardware`, or why it is unknown."""
    on_it = next((one for one in found if one.hardware == hardware.name), None)
    on_it = on_it or next((one for one in found if one.device == "cuda" and hardware.is_in(one.machine)), None)
    if on_it:
        return Measured(by_streams(on_it.points), on_it.source, on_it.start_seconds)
    start = next((one.start_seconds for one in found if one.start_seconds), None)
    return _gpu(hardware, model, start, prices) if hardware.gpu else _cpu(hardware, model, found)


def _gpu(hardware: Hardware, model: Manifest, start: float | None, prices: PriceList) -> Speed | str:
    choice = next((one for one in model.engines if one.device == "cuda"), None)
    if choice is None or hardware.gpu is None:
        return "the manifest names no engine for CUDA"
    cache_bytes = tasks.attribute(model, "cache_bytes_per_token", None)
    if model.parameters is None or cache_bytes is None:
        return f"no estimate is made for the task {model.task}, or without `parameters`: make bench measures it"
    facts = fit.facts_of(model)
    weights = choice.weight_bytes(facts) or 0
    needed = sum(fit.needed_gb(choice, facts) or ())
    if needed > hardware.memory_gb * SHARE_FOR_WEIGHTS:
        return f"{needed:.1f} GB of weights and cache do not fit into {hardware.memory_gb:g} GB"
    estimates = prices.estimates
    return FromDataSheet(
        hardware.gpu,
        estimates,
        model.parameters,
        weights / model.parameters,
        cache_bytes(model, BYTES[choice.dtype]),
        _STREAMS,
        start,
        f"estimate from {hardware.gpu.source} ({hardware.gpu.date}) and {estimates.source} ({estimates.date})",
    )


def _cpu(hardware: Hardware, model: Manifest, found: Sequence[Measurement]) -> Speed | str:
    if hardware.memory_gb < model.hardware.memory_gb:
        return f"{model.hardware.memory_gb:g} GB do not fit into {hardware.memory_gb:g} GB"
    newest = {one.machine: one for one in reversed(found) if one.device == "cpu" and one.cores}
    if not newest:
        return "no CPU was measured: make bench, or make cost URL=..."
    measured = [(Measured(by_streams(one.points), one.source, one.start_seconds), one.cores) for one in newest.values()]
    source = f"estimate from {'; '.join(one.source for one in newest.values())}"
    starts = [one.start_seconds for one in newest.values() if one.start_seconds]
    return FromOtherCpus(hardware.cores, measured, source, max(starts, default=None))


def _between(low: Range, high: Range, share: float) -> Range:
    def mixed(first: float, second: float) -> float:
        return first + (second - first) * share

    return Range(low=mixed(low.low, high.low), likely=mixed(low.middle, high.middle), high=mixed(low.high, high.high))
