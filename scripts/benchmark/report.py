"""The receipt of a benchmark, the table and the chart made from it, and the targets it is held against."""

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
    """A line that must be reached: `value(receipt)` against `bound`, in `unit`; None where it was not measured."""

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
    """Medians and spread over the runs; times in milliseconds. A stream comes in pieces of one or more tokens."""
    rates = [sample.tokens_per_second for sample in samples]
    firsts = [first * 1000 for sample in samples for first in sample.first_tokens]
    gaps = [gap * 1000 for sample in samples for gap in sample.gaps]
    return {
        "runs": len(samples),
        "tokens_per_second": round(statistics.median(rates), 1),
        "tokens_per_second_min": round(min(rates), 1),
        "tokens_per_second_max": round(max(rates), 1),
        "first_token_ms_p50": round(load.percentile(firsts, 0.5), 1),
        "first_token_ms_p99": round(load.percentile(firsts, 0.99), 1),
        "between_pieces_ms_p50": round(load.percentile(gaps, 0.5), 2),
        "between_pieces_ms_p99": round(load.percentile(gaps, 0.99), 2),
        "input_tokens": sorted({tokens for sample in samples for tokens in sample.input_tokens}),
        "output_tokens": sorted({tokens for sample in samples for tokens in sample.output_tokens}),
    }


def rate(receipt: Receipt, subject: str, streams: int) -> float | None:
    """Tokens a second of `subject` with `streams` streams."""
    measured = receipt["subjects"].get(subject, {}).get("streams", {}).get(str(streams))
    return measured["tokens_per_second"] if measured else None


def _ratio(subject: str, against: str, streams: int) -> Callable[[Receipt], float | None]:
    def value(receipt: Receipt) -> float | None:
        above, below = rate(receipt, subject, streams), rate(receipt, against, streams)
        return above / below if above and below else None

    return value


def _start(receipt: Receipt) -> float | None:
    ours, theirs = (receipt["subjects"].get(name, {}).get("start_seconds") for name in ("server", "baseline"))
    return ours / theirs if ours and theirs else None


def _memory(receipt: Receipt) -> float | None:
    peak = receipt["subjects"].get("server", {}).get("peak_memory_mb")
    return peak / 1000 if peak else None


def _jitter(receipt: Receipt) -> float | None:
    measured = receipt["subjects"].get("server", {}).get("streams", {}).get("8")
    return measured["between_pieces_ms_p99"] / measured["between_pieces_ms_p50"] if measured else None


TARGETS = [
    Target("tokens a second, 1 stream, against the baseline", 3, "times", True, _ratio("server", "baseline", 1)),
    Target("total, 8 streams, against the baseline", 17, "times", True, _ratio("server", "baseline", 8)),
    Target("total, 16 streams, against the baseline", 25, "times", True, _ratio("server", "baseline", 16)),
    Target("process start to first token, against the baseline", 0.5, "times", False, _start),
    Target("server against the bare engine, 1 stream", 0.95, "times", True, _ratio("server", "engine", 1)),
    Target("server against the bare engine, 8 streams", 0.95, "times", True, _ratio("server", "engine", 8)),
    Target("container against the server, 1 stream", 0.97, "times", True, _ratio("container", "server", 1)),
    Target("container against the server, 8 streams", 0.97, "times", True, _ratio("container", "server", 8)),
    Target("p99 of the gap between a stream's pieces against its median, 8 streams", 4, "times", False, _jitter),
    Target("peak resident memory of the server, 16 streams", 1, "GB", False, _memory),
]


def markdown(receipts: Sequence[Receipt], folder: str) -> str:
    """The README's section: what was measured on each machine, the fastest first, with its chart in `folder`."""
    fastest, *others = sorted(receipts, key=_most_tokens, reverse=True)
    chart = f"![Total tokens a second by number of streams]({folder}/{fastest['machine']['slug']}.png)"
    parts = [_measured(fastest), chart, "\n".join(loading_lines(fastest)), *[_measured(receipt) for receipt in others]]
    return "\n\n".join(part for part in parts if part)


def _most_tokens(receipt: Receipt) -> float:
    return rate(receipt, "server", max(receipt["settings"]["streams"])) or 0


def _measured(receipt: Receipt) -> str:
    """When and where it was measured, the table, and which targets were missed."""
    machine, settings = receipt["machine"], receipt["settings"]
    counts = settings["streams"]
    lines = [
        f"Measured on {receipt['date']} on {machine['name']} ({machine['cores']} cores) by `make bench`: total tokens",
        f"a second, the median of at least {settings['repeats']} interleaved runs, "
        f"{_lengths(receipt)} tokens in and {settings['output_tokens']} out, greedy, over HTTP. " + _missed(receipt),
        "",
        "| streams | " + " | ".join(str(count) for count in counts) + " | start to first token | peak memory |",
        "| --- |" + " --- |" * (len(counts) + 2),
    ]
    for name, measured in receipt["subjects"].items():
        cells = [f"{measured['streams'][str(count)]['tokens_per_second']:.0f}" for count in counts]
        memory, start = measured["peak_memory_mb"], measured["start_seconds"]
        cells += [f"{start:.1f} s" if start else "", f"{memory:.0f} MB" if memory else ""]
        lines.append(f"| {receipt['labels'][name]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _lengths(receipt: Receipt) -> str:
    """The tokens of the prompts: "32", or "30 to 35"."""
    rows = [row for subject in receipt["subjects"].values() for row in subject["streams"].values()]
    lengths = {tokens for row in rows for tokens in row["input_tokens"]}
    return " to ".join(str(tokens) for tokens in sorted({min(lengths), max(lengths)}))


def _missed(receipt: Receipt) -> str:
    """A sentence: the targets that were missed, with their figures."""
    missed = [
        f"{target.what} ({target.value(receipt):.2f} {target.unit}, {'at least' if target.at_least else 'at most'} "
        f"{target.bound:g})"
        for target in TARGETS
        if target.verdict(receipt) == "missed"
    ]
    return f"Missed of its targets: {'; '.join(missed)}." if missed else "None of its targets was missed."


def loading_lines(receipt: Receipt) -> list[str]:
    """How long loading takes against the disk, and a container's start by how its weights come."""
    lines = []
    if found := receipt.get("loading"):
        megabytes = found["bytes"] / 1e6
        lines.append(
            f"Loading {megabytes:.0f} MB of weights that are not in memory yet takes {found['load_seconds']:.1f} s, "
            f"compiling included; the disk alone reads them in {found['disk_seconds']:.1f} s."
        )
    if deliveries := receipt.get("deliveries"):
        starts = ", ".join(f"{seconds:.1f} s {state}" for state, seconds in deliveries.items())
        lines.append(f"A container's first token, by how its weights come: {starts}.")
    return lines


def draw(receipt: Receipt, target: Path) -> None:
    """The chart as PNG and SVG: total tokens a second by streams, one line a subject."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot
    from matplotlib.ticker import ScalarFormatter

    matplotlib.rcParams["svg.hashsalt"] = "bench"
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    counts, markers = receipt["settings"]["streams"], itertools.cycle("os^dv")
    for name, measured in receipt["subjects"].items():
        rows = [measured["streams"][str(count)] for count in counts]
        rates = [row["tokens_per_second"] for row in rows]
        low = [row["tokens_per_second"] - row["tokens_per_second_min"] for row in rows]
        high = [row["tokens_per_second_max"] - row["tokens_per_second"] for row in rows]
        label = f"{receipt['labels'][name]}: {rates[0]:.0f} to {rates[-1]:.0f}"
        axes.errorbar(counts, rates, yerr=[low, high], marker=next(markers), capsize=3, alpha=0.8, label=label)
    axes.set(xlabel="streams at once", ylabel="tokens a second, all together")
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
