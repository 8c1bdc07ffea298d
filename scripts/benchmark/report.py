"""The receipt of a benchmark, its targets, and the table and the chart made from it."""

import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.benchmark import load

Receipt = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """A value to reach: `value(receipt)` against `bound`, in `unit`; the value is None if it was not measured."""

    what: str
    bound: float
    unit: str
    at_least: bool
    value: Callable[[Receipt], float | None]

    def verdict(self, receipt: Receipt) -> str:
        """One of: reached, missed, not measured."""
        value = self.value(receipt)
        if value is None:
            return "not measured"
        return "reached" if (value >= self.bound) == self.at_least or value == self.bound else "missed"


def row(samples: Sequence[load.Sample]) -> dict[str, Any]:
    """Medians and spread over the runs; times in milliseconds. A stream arrives in pieces of one or more tokens."""
    rates = [sample.per_second for sample in samples]
    firsts = [first * 1000 for sample in samples for first in sample.firsts]
    gaps = [gap * 1000 for sample in samples for gap in sample.gaps]
    names = dict.fromkeys(name for sample in samples for name in sample.sizes)
    return {
        "runs": len(samples),
        "per_second": round(statistics.median(rates), 1),
        "per_second_min": round(min(rates), 1),
        "per_second_max": round(max(rates), 1),
        "first_ms_p50": round(load.percentile(firsts, 0.5), 1),
        "first_ms_p99": round(load.percentile(firsts, 0.99), 1),
        "between_pieces_ms_p50": round(load.percentile(gaps, 0.5), 2),
        "between_pieces_ms_p99": round(load.percentile(gaps, 0.99), 2),
        "sizes": {name: sorted({size for one in samples for size in one.sizes.get(name, [])}) for name in names},
    }


def rate(receipt: Receipt, subject: str, streams: int) -> float | None:
    """Units a second of `subject` with `streams` streams."""
    measured = receipt["subjects"].get(subject, {}).get("streams", {}).get(str(streams))
    return measured["per_second"] if measured else None


def ratio(
    subject: str, against: str, streams: int, against_streams: int | None = None
) -> Callable[[Receipt], float | None]:
    """How many times faster `subject` is than `against`; `against_streams`: the streams of `against`, if different."""

    def value(receipt: Receipt) -> float | None:
        above, below = rate(receipt, subject, streams), rate(receipt, against, against_streams or streams)
        return above / below if above and below else None

    return value


def start_ratio(receipt: Receipt) -> float | None:
    ours, theirs = (receipt["subjects"].get(name, {}).get("start_seconds") for name in ("server", "baseline"))
    return ours / theirs if ours and theirs else None


def memory(receipt: Receipt) -> float | None:
    peak = receipt["subjects"].get("server", {}).get("peak_memory_mb")
    return peak / 1000 if peak else None


def jitter(receipt: Receipt) -> float | None:
    measured = receipt["subjects"].get("server", {}).get("streams", {}).get("8")
    has_gaps = measured and measured["between_pieces_ms_p50"]
    return measured["between_pieces_ms_p99"] / measured["between_pieces_ms_p50"] if has_gaps else None


def faithfulness_ratio(name: str) -> Callable[[Receipt], float | None]:
    """The engine's share of equal answers (`same`) or its divergence, against transformers in bfloat16."""

    def value(receipt: Receipt) -> float | None:
        found = receipt.get("faithfulness")
        return found["engine"][name] / found["bfloat16"][name] if found and found["bfloat16"][name] else None

    return value


TARGETS = [
    Target("server against the bare engine, 1 stream", 0.95, "times", True, ratio("server", "engine", 1)),
    Target("server against the bare engine, 8 streams", 0.95, "times", True, ratio("server", "engine", 8)),
    Target("container against the server, 1 stream", 0.97, "times", True, ratio("container", "server", 1)),
    Target("container against the server, 8 streams", 0.97, "times", True, ratio("container", "server", 8)),
]
"""The targets of every task; a task can have more."""


def markdown(receipts: Sequence[Receipt], folder: str, targets: Sequence[Target]) -> str:
    """The measurements of each machine, the fastest first, with its chart from `folder`."""
    fastest, *others = by_speed(receipts)
    unit, picture = fastest["settings"]["unit"], f"{folder}/{fastest['machine']['slug']}.png"
    chart = f"![Total {unit} a second by number of streams]({picture})"
    rest = [_measured(receipt, targets) for receipt in others]
    parts = [_measured(fastest, targets), chart, "\n".join(loading_lines(fastest)), *rest]
    return "\n\n".join(part for part in parts if part)


def by_speed(receipts: Sequence[Receipt]) -> list[Receipt]:
    """The receipt of the fastest machine first."""
    return sorted(receipts, key=_fastest, reverse=True)


def _fastest(receipt: Receipt) -> float:
    return rate(receipt, "server", max(receipt["settings"]["streams"])) or 0


def _measured(receipt: Receipt, targets: Sequence[Target]) -> str:
    """When and where it was measured, the targets that were missed, and the table."""
    machine, settings = receipt["machine"], receipt["settings"]
    counts = settings["streams"]
    where = f"{machine['name']} ({machine['cores']} cores)"
    lines = [
        f"Measured on {receipt['date']} on {where} by `make bench`: total {settings['unit']} a second,",
        f"the median of at least {settings['repeats']} interleaved runs, {_sizes(receipt)}over HTTP. "
        f"{_missed(receipt, targets)}".rstrip(),
        "",
        "| streams | " + " | ".join(str(count) for count in counts) + " | start to first output | peak memory |",
        "| --- |" + " --- |" * (len(counts) + 2),
    ]
    for name, measured in receipt["subjects"].items():
        cells = [f"{measured['streams'][str(count)]['per_second']:.0f}" for count in counts]
        memory, start = measured["peak_memory_mb"], measured["start_seconds"]
        cells += [f"{start:.1f} s" if start else "", f"{memory:.0f} MB" if memory else ""]
        lines.append(f"| {receipt['labels'][name]} | " + " | ".join(cells) + " |")
    for line in faithfulness_lines(receipt):
        lines += ["", line]
    return "\n".join(lines)


def _sizes(receipt: Receipt) -> str:
    """The sizes of the predictions: "32 input tokens, 128 output tokens, "; "30 to 35" if they differ."""
    rows = [row for subject in receipt["subjects"].values() for row in subject["streams"].values()]
    sizes: dict[str, set[float]] = {}
    for row in rows:
        for name, found in row["sizes"].items():
            sizes.setdefault(name, set()).update(found)
    ends = {name: sorted({min(found), max(found)}) for name, found in sizes.items() if found}
    lengths = {name: " to ".join(f"{end:g}" for end in found) for name, found in ends.items()}
    return "".join(f"{length} {name.replace('_', ' ')}, " for name, length in lengths.items())


def _missed(receipt: Receipt, targets: Sequence[Target]) -> str:
    """The targets that were missed, with their figures, and those that were not measured; "" if there are none."""
    if not targets:
        return ""
    unmeasured = [target.what for target in targets if target.verdict(receipt) == "not measured"]
    missed = [
        f"{target.what} ({target.value(receipt):.2f} {target.unit}, {'at least' if target.at_least else 'at most'} "
        f"{target.bound:g})"
        for target in targets
        if target.verdict(receipt) == "missed"
    ]
    reached = "All measured targets were reached." if unmeasured else "All targets were reached."
    found = f"Missed targets: {'; '.join(missed)}." if missed else reached
    return f"{found} Not measured: {'; '.join(unmeasured)}." if unmeasured else found


def loading_lines(receipt: Receipt) -> list[str]:
    """How long loading takes compared with the disk, and a container's start by delivery of its weights."""
    lines = []
    if found := receipt.get("loading"):
        megabytes = found["bytes"] / 1e6
        lines.append(
            f"Loading {megabytes:.0f} MB of weights that are not in memory takes {found['load_seconds']:.1f} s, "
            f"including compilation; reading them from disk takes {found['disk_seconds']:.1f} s."
        )
    if deliveries := receipt.get("deliveries"):
        starts = ", ".join(f"{seconds:.1f} s {state}" for state, seconds in deliveries.items())
        lines.append(f"A container's time to the first output, by delivery of its weights: {starts}.")
    return lines


def faithfulness_lines(receipt: Receipt) -> list[str]:
    """How many answers begin as in float32, and how far the first token's distribution is from it."""
    if not (found := receipt.get("faithfulness")):
        return []
    engine, rounded = found["engine"], found["bfloat16"]
    return [
        f"Of {found['prompts']} short questions {engine['same']:.0%} are answered with the same first "
        f"{found['tokens']} tokens as in float32 (transformers in bfloat16: {rounded['same']:.0%}); the first token's "
        f"distribution differs from float32's by {engine['divergence']:.5f} nats ({rounded['divergence']:.5f})."
    ]


def draw(receipt: Receipt, target: Path) -> None:
    """The chart as PNG and SVG: total units a second by number of streams, a line for each subject."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot
    from matplotlib.ticker import ScalarFormatter

    matplotlib.rcParams["svg.hashsalt"] = "bench"
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    counts, markers = receipt["settings"]["streams"], itertools.cycle("os^dv")
    for name, measured in receipt["subjects"].items():
        rows = [measured["streams"][str(count)] for count in counts]
        rates = [row["per_second"] for row in rows]
        low = [row["per_second"] - row["per_second_min"] for row in rows]
        high = [row["per_second_max"] - row["per_second"] for row in rows]
        label = f"{receipt['labels'][name]}: {rates[0]:.0f} to {rates[-1]:.0f}"
        axes.errorbar(counts, rates, yerr=[low, high], marker=next(markers), capsize=3, alpha=0.8, label=label)
    axes.set(xlabel="streams at once", ylabel=f"{receipt['settings']['unit']} a second, all together")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_title(f"{receipt['model']} on {receipt['machine']['name']}, {receipt['date']}", loc="left", fontsize=10)
    axes.set_xticks(counts)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(ScalarFormatter())
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(target.with_suffix(".png"), dpi=120)
    figure.savefig(target.with_suffix(".svg"), metadata={"Date": None})
    pyplot.close(figure)
