"""The receipt of an evaluation: the figures, the model and data, and the command; and the Hub's file of results."""

import datetime
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.engine import EngineChoice
from models.manifest import PROJECT, Manifest
from scripts.benchmark import machine
from scripts.cli import repository
from scripts.evaluation import intervals
from scripts.evaluation.answers import Answers, Given
from scripts.evaluation.data import Data, DataError
from scripts.evaluation.metrics import METRICS
from scripts.evaluation.task import Line

FOLDER = PROJECT / "evals"
HUB_FOLDER = ".eval_results"
Receipt = dict[str, Any]


@dataclass(frozen=True)
class Benchmark:
    """The data on the Hub: a dataset with an eval.yaml, and the task in it."""

    id: str
    task_id: str
    revision: str = ""


def path_of(model: Manifest, choice: EngineChoice, data: Path) -> Path:
    """evals/<model>/<data's name>.json, with the engine's name appended if it is not the usual one."""
    engine = "" if choice == model.engine_on(choice.device) else f"-{choice.engine}"
    return FOLDER / model.slug / f"{data.stem}{engine}.json"


def of(
    model: Manifest, choice: EngineChoice, data: Data, answers: Answers, benchmark: Benchmark | None, command: str
) -> Receipt:
    """Every metric with its interval, for all lines and for each group of them."""
    groups = sorted({line.group for line in data.lines if line.group})
    return {
        "name": data.path.stem,
        "model": model.slug,
        "title": model.title,
        "task": model.task,
        "date": datetime.date.today().isoformat(),
        "commit": repository.commit(),
        "command": command,
        "machine": machine.described(choice),
        "made_by": answers.made_by,
        "data": {
            "path": from_here(data.path),
            "sha256": data.sha256,
            "lines": len(data.lines),
            "benchmark": asdict(benchmark) if benchmark else None,
        },
        "confidence": intervals.CONFIDENCE,
        "metrics": _figures(data, data.lines, answers),
        "groups": {
            group: _figures(data, [line for line in data.lines if line.group == group], answers) for group in groups
        },
    }


def parts(name: str, lines: Sequence[Line], answers: Answers) -> intervals.Parts:
    """The metric's parts of each line.

    Raises:
        DataError: the metric cannot use what a line expects; names the line.
    """
    return [_parts(name, line, answers.given[line.number]) for line in lines]


def _parts(name: str, line: Line, given: Given) -> tuple[Any, ...]:
    metric = METRICS[name]
    try:
        return metric.parts(given[metric.kind], line.expected)
    except (TypeError, ValueError, IndexError) as error:
        raise DataError(
            f"line {line.number} of the data expects {line.expected!r}, which {name} cannot judge"
        ) from error


def hub_entries(receipt: Receipt) -> list[dict[str, Any]]:
    """The content of .eval_results/*.yaml in a model's repository on the Hub: the first metric, on a Hub dataset.

    https://huggingface.co/docs/hub/eval-results
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    figure, benchmark = receipt["metrics"][0], receipt["data"]["benchmark"]
    lines = f"{figure['lines']} lines"
    if figure["low"] is not None:
        lines += f", {receipt['confidence']:.0%} interval {figure['low']:.4g} to {figure['high']:.4g}"
    entry = EvalResultEntry(
        dataset_id=benchmark["id"],
        task_id=benchmark["task_id"],
        dataset_revision=benchmark["revision"] or None,
        value=figure["value"],
        date=receipt["date"],
        notes=f"{figure['title']} of {lines}; {receipt['command']}",
    )
    return eval_result_entries_to_yaml([entry])


def _figures(data: Data, lines: Sequence[Line], answers: Answers) -> list[dict[str, Any]]:
    judged = {name: [line for line in lines if name in line.metrics] for name in data.metrics}
    return [_figure(name, of_metric, answers) for name, of_metric in judged.items() if of_metric]


def _figure(name: str, lines: Sequence[Line], answers: Answers) -> dict[str, Any]:
    metric = METRICS[name]
    estimate = intervals.estimate(metric, parts(name, lines, answers))
    return {
        "name": name,
        "title": metric.title,
        "hub": metric.hub,
        "lines": len(lines),
        "value": estimate.value,
        "low": finite(estimate.low),
        "high": finite(estimate.high),
        "more_is_better": metric.more_is_better,
        "written": metric.written(estimate.value),
    }


def finite(bound: float) -> float | None:
    """A bound for JSON, which has no infinity; None for an infinite one."""
    return bound if math.isfinite(bound) else None


def from_here(path: Path) -> str:
    """A path relative to this project's folder if it is in it."""
    return str(path.resolve().relative_to(PROJECT)) if path.resolve().is_relative_to(PROJECT) else str(path)
