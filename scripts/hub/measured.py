"""The figures of a card: evaluations from evals/ or quoted by the manifest, and benchmarks from benchmarks/."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from models.manifest import PROJECT, Manifest, path_of
from scripts import tasks
from scripts.benchmark import report

Receipt = dict[str, Any]
EVALS, BENCHMARKS = "evals", "benchmarks"


def receipts(model: Manifest, folder: str) -> list[Receipt]:
    """The receipts of a model in evals/ or benchmarks/, by name."""
    paths = sorted((PROJECT / folder / model.slug).glob("*.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def evaluations(model: Manifest) -> str:
    """The card's section: measured results with their command and date, and quoted results with their source."""
    parts = [_measured(receipt) for receipt in receipts(model, EVALS)]
    for quote in model.evaluations:
        of = f" of {quote.of}" if quote.of else ""
        lines = [f"Quoted{of}, not measured here: [{_host(quote.source)}]({quote.source}).", ""]
        lines += ["| dataset | setting | metric | value |", "| --- | --- | --- | --- |"]
        lines += [f"| {one.dataset} | {one.settings or ''} | {one.metric} | {one.value:g} |" for one in quote.results]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _measured(receipt: Receipt) -> str:
    """One receipt: how it was measured, and a row for each metric of all lines and of each group of them."""
    made, data = receipt["made_by"], receipt["data"]
    lines = [
        f"Measured on {receipt['date']} by `{receipt['command']}`: {data['lines']} lines of `{data['path']}`, with "
        f"{made['engine']} on {made['device']} ({made['dtype']}). Each value has its {receipt['confidence']:.0%} "
        "confidence interval.",
        "",
        "| lines | metric | count | value | interval |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, figures in {"all": receipt["metrics"], **receipt["groups"]}.items():
        lines += [
            f"| {name} | {one['title']} | {one['lines']} | {one['written']} | {interval(one)} |" for one in figures
        ]
    return "\n".join(lines)


def interval(figure: dict[str, Any]) -> str:
    """The bounds of an evaluation's figure in its own format; "" if one is unknown."""
    if figure["low"] is None or figure["high"] is None:
        return ""
    form = "{:.1%}" if figure["written"].endswith("%") else "{:.2f}"
    return f"{form.format(figure['low'])} to {form.format(figure['high'])}"


def pipeline_tag(model: Manifest) -> str:
    """The Hub's name of the task (https://huggingface.co/tasks): this project's name, or PIPELINE_TAG of its file."""
    tag: str = tasks.attribute(model, "PIPELINE_TAG", model.task)
    return tag


def results(model: Manifest) -> list[Any]:
    """The model-index: measured and quoted results of this model, none of other models."""
    from huggingface_hub import EvalResult

    return [EvalResult(task_type=pipeline_tag(model), **fields) for fields in [*_own(model), *_quoted(model)]]


def _own(model: Manifest) -> Iterator[dict[str, Any]]:
    for receipt in receipts(model, EVALS):
        for figure in receipt["metrics"]:
            yield {
                "dataset_type": receipt["data"]["path"],
                "dataset_name": f"{receipt['data']['path']} ({receipt['data']['lines']} lines)",
                "metric_type": figure["hub"],
                "metric_name": figure["title"],
                "metric_value": round(figure["value"], 4),
            }


def _quoted(model: Manifest) -> Iterator[dict[str, Any]]:
    for quote in model.evaluations:
        for one in quote.results if not quote.of else []:
            yield {
                "dataset_type": _identifier(one.dataset),
                "dataset_name": one.dataset,
                "dataset_config": one.settings,
                "metric_type": _identifier(one.metric),
                "metric_name": one.metric,
                "metric_value": one.value,
                "source_name": _host(quote.source),
                "source_url": quote.source,
            }


def benchmarks(model: Manifest, charts: str) -> str:
    """The card's section: the tables, and the chart from the repository's folder `charts`."""
    found = receipts(model, BENCHMARKS)
    return report.markdown(found, charts, targets=[]) if found else ""


def left_out(model: Manifest) -> list[str]:
    """A line for each section that is missing because nothing was measured or quoted, with the remedy."""
    quote = f"quote results under evaluations in {path_of(model.slug)}"
    lines = []
    if not evaluations(model):
        lines.append(f"the card has no evaluation: make eval measures it, or {quote}")
    if not receipts(model, BENCHMARKS):
        lines.append("the card has no section on speed: make bench measures it")
    return lines


def side_by_side(model: Manifest, other: Manifest) -> Sequence[tuple[str, str, str]]:
    """What is known of both models: size, metrics on the same data, and speed on the same machine."""
    rows = [("parameters", f"{model.parameters or 0:,}", f"{other.parameters or 0:,}")]
    rows = rows if model.parameters and other.parameters else []
    rows.append(("memory of a server", f"{model.hardware.memory_gb:g} GB", f"{other.hardware.memory_gb:g} GB"))
    ours, theirs = _scores(model), _scores(other)
    rows += [(name, ours[name], theirs[name]) for name in ours if name in theirs]
    ours, theirs = _speeds(model), _speeds(other)
    return rows + [(name, ours[name], theirs[name]) for name in ours if name in theirs]


def _scores(model: Manifest) -> dict[str, str]:
    """Scores by metric and data; only the same bytes of data make them comparable."""
    return {
        f"{figure['title']}, {receipt['data']['path']} ({receipt['data']['sha256'][:8]})": (
            f"{figure['written']} ({interval(figure)})"
        )
        for receipt in receipts(model, EVALS)
        for figure in receipt["metrics"]
    }


def _speeds(model: Manifest) -> dict[str, str]:
    found = {}
    for receipt in receipts(model, BENCHMARKS):
        for streams in receipt["settings"]["streams"]:
            if rate := report.rate(receipt, "server", streams):
                where = f"{receipt['machine']['name']} ({receipt['machine']['cores']} cores)"
                unit = receipt["settings"]["unit"]
                found[f"{unit} a second, {streams} at once, {where}"] = f"{rate:.0f}"
    return found


def _host(link: str) -> str:
    return link.removeprefix("https://")


def _identifier(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")
