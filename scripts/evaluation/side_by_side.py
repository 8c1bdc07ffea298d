"""Two models, or two versions of one, on the same lines: which differences are real."""

from typing import Any

from rich.table import Table

from scripts.evaluation import intervals, receipt
from scripts.evaluation.answers import Answers
from scripts.evaluation.data import Data, DataError
from scripts.evaluation.metrics import METRICS


def compared(data: Data, ours: Answers, theirs: Answers) -> dict[str, Any]:
    """The receipt's section `against`: what made the other answers, and each metric of both.

    Raises:
        DataError: the other answers belong to other data, or do not cover it.
    """
    if theirs.made_by["data"] != data.sha256 or not theirs.covers(data):
        raise DataError(f"the other answers do not match the current {data.path}: make eval for both, then compare")
    return {"made_by": theirs.made_by, "metrics": [_row(name, data, ours, theirs) for name in data.metrics]}


def _row(name: str, data: Data, ours: Answers, theirs: Answers) -> dict[str, Any]:
    metric, lines = METRICS[name], data.with_metric(name)
    first, second = receipt.parts(name, lines, theirs), receipt.parts(name, lines, ours)
    row = {
        "name": name,
        "theirs": intervals.estimate(metric, first).value,
        "ours": intervals.estimate(metric, second).value,
    }
    if name == "perplexity" and [tokens for _, tokens in first] != [tokens for _, tokens in second]:
        return row | {"comparable": False}
    found = intervals.difference(metric, first, second)
    bounds = {"low": receipt.finite(found.low), "high": receipt.finite(found.high)}
    better = (found.value > 0) == metric.more_is_better
    return row | {"comparable": True, "difference": found.value, **bounds, "real": found.is_real, "better": better}


def table(names: tuple[str, str], comparison: dict[str, Any]) -> Table:
    """For each metric: the other model, this one, the difference with its interval, and the conclusion."""
    theirs, ours = names
    shown = Table("", theirs, ours, "difference", f"{intervals.CONFIDENCE:.0%} interval", "")
    for row in comparison["metrics"]:
        metric = METRICS[row["name"]]
        figures = (metric.title, metric.written(row["theirs"]), metric.written(row["ours"]))
        if not row["comparable"]:
            shown.add_row(*figures, "", "", "their tokens differ: compare bits_per_byte")
            continue
        bounds = f"{_signed(metric, row['low'])} to {_signed(metric, row['high'])}"
        verdict = f"real: {'better' if row['better'] else 'worse'}" if row["real"] else "may be chance"
        shown.add_row(*figures, _signed(metric, row["difference"]), bounds, verdict)
    return shown


def _signed(metric: Any, value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value * 100:+.1f} points" if metric.form == "percent" else f"{value:+.2f}"
