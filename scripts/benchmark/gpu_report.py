"""The table and the chart made from a receipt of gpu_table."""

from pathlib import Path
from typing import Any

Receipt = dict[str, Any]
STREAMS = (1, 16, 64)
_COLUMNS = [*map(str, STREAMS), "start to first token", "16 x 2,000 tokens", "memory"]
_PEER = ", vllm"


def markdown(receipt: Receipt) -> str:
    """Where and when it was measured, the table, and what is not in a table."""
    figures = {name: subject["figures"] for name, subject in receipt["subjects"].items()}
    device = figures["machine"]["machine"]
    lines = [
        f"Measured on {receipt['date']} on one {device['device']} (a copy: {device['bandwidth_gb_s'] / 1000:.1f} TB/s) "
        f"by `python -m scripts.gpu_table`, with torch {receipt['versions']['torch']} and transformers "
        f"{receipt['versions']['transformers']}: total tokens a second, 32 tokens in and 128 out, without a server.",
        "",
        f"| streams | {' | '.join(_COLUMNS)} |",
        "| --- |" + " --- |" * len(_COLUMNS),
    ]
    lines += [_row(name, found) for name, found in figures.items() if "start" in found]
    return "\n".join([*lines, "", *_remarks(figures)])


def sentence(receipt: Receipt) -> str:
    """The same for one line: the 8B shape at the fewest and at the most streams, and the peer's if it was measured."""
    ours, theirs = (_ends(receipt, name) for name in ("8B", f"8B{_PEER}"))
    device = receipt["subjects"]["machine"]["figures"]["machine"]["device"]
    beside = f"; vLLM on the same files: {theirs[0]:,.0f} and {theirs[1]:,.0f}" if theirs else ""
    return (
        f"On one {device} the engine for CUDA makes {ours[0]:,.0f} tokens a second with the shape of Llama-3.1-8B at "
        f"{STREAMS[0]} stream and {ours[1]:,.0f} at {STREAMS[-1]}{beside} (measured on {receipt['date']})."
        if ours
        else ""
    )


def _ends(receipt: Receipt, name: str) -> list[float]:
    figures = receipt["subjects"].get(name, {"figures": {}})["figures"]
    found = [figures.get(f"{count} streams") for count in (STREAMS[0], STREAMS[-1])]
    return [row["tokens_per_second"] for row in found] if all(found) else []


def _row(name: str, found: dict[str, Any]) -> str:
    rates = [found.get(f"{count} streams", {}).get("tokens_per_second") for count in STREAMS]
    cells = [f"{rate:,.0f}" if rate else "" for rate in rates]
    cells.append(f"{found['start']['first_token_seconds']:.1f} s")
    long, memory = found.get("long prompts"), found.get("memory")
    cells.append(f"{long['last_first_token_seconds']:.2f} s" if long else "")
    cells.append(f"{memory['peak_gb']:.1f} GB" if memory else "")
    return f"| {name} | " + " | ".join(cells) + " |"


def _remarks(figures: dict[str, Any]) -> list[str]:
    remarks = []
    for name, found in figures.items():
        said = []
        if share := found.get("1 streams", {}).get("share_of_bandwidth"):
            said.append(f"one stream reads its weights at {share:.0%} of that bandwidth")
        if new := found.get("new shapes beside 16 streams"):
            said.append(
                f"the first token of a prompt beside 16 streams comes after {new['p50_ms']:.0f} ms "
                f"(p99: {new['p99_ms']:.0f} ms)"
            )
        if same := found.get("next token as in float32"):
            said.append(f"{same['share']:.1%} of {same['positions']:,} next tokens are those of float32")
        if said and "," not in name:
            remarks.append(f"{name}: {'; '.join(said)}.")
    return remarks


def draw(receipt: Receipt, target: Path) -> None:
    """The chart as PNG and SVG: tokens a second by number of streams, a line for each subject."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "gpu"
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for name, subject in receipt["subjects"].items():
        found = {count: subject["figures"].get(f"{count} streams") for count in STREAMS}
        points = [(count, row["tokens_per_second"]) for count, row in found.items() if row]
        if points:
            label = f"{name}: {points[0][1]:,.0f} to {points[-1][1]:,.0f}"
            style = "--" if name.endswith(_PEER) else "-"
            axes.plot(*zip(*points, strict=True), style, marker="o", alpha=0.8, label=label)
    axes.set(xlabel="streams at once", ylabel="tokens a second, all together", xscale="log", yscale="log")
    axes.set_xticks(STREAMS, [str(count) for count in STREAMS])
    device = receipt["subjects"]["machine"]["figures"]["machine"]["device"]
    axes.set_title(f"engine transformers on one {device}, {receipt['date']}", loc="left", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(target.with_suffix(".png"), dpi=120)
    figure.savefig(target.with_suffix(".svg"), metadata={"Date": None})
    pyplot.close(figure)
