"""The data of an evaluation: a JSONL file; each line has inputs of predict() and the expected output.

    {"input": {"prompt": "..."}, "expected": "...", "group": "capitals", "metrics": ["exact_match"]}

`group` and `metrics` are optional: without them, the line is in no group and is scored by the task's usual metrics.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from models.errors import TemplateError, in_words
from models.strict import Strict, suggestion
from scripts.evaluation.task import Evaluation, Line

REQUIRED = object()


class DataError(TemplateError):
    """A data file cannot be evaluated; names the line."""


class _Written(Strict):
    input: dict[str, Any] = Field(min_length=1)
    expected: Any
    group: str = ""
    metrics: list[str] = []


@dataclass(frozen=True)
class Data:
    """A file's lines, and the sha256 of its bytes."""

    path: Path
    sha256: str
    lines: list[Line]

    @property
    def metrics(self) -> list[str]:
        """The metrics of all lines, in the order of their first use."""
        return list(dict.fromkeys(name for line in self.lines for name in line.metrics))

    def with_metric(self, name: str) -> list[Line]:
        """The lines that the metric scores."""
        return [line for line in self.lines if name in line.metrics]


def read(path: Path, inputs: Mapping[str, Any], evaluation: Evaluation, wanted: Sequence[str]) -> Data:
    """The lines of the file that have a metric.

    `inputs`: of predict(), with their defaults, or REQUIRED; `wanted`: use only these metrics, unless it is empty.

    Raises:
        DataError: there is no such file, or a line is wrong; says which, why, and what is allowed.
    """
    try:
        content = path.read_bytes()
        texts = content.decode("utf-8").split("\n")
    except OSError as error:
        raise DataError(f"{path}: {(error.strerror or str(error)).lower()}: DATA=FILE.jsonl names the data") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8: write it as JSON, one object per line") from error
    numbered = [(number, text) for number, text in enumerate(texts, start=1) if text.strip()]
    lines = [_line(f"{path}, line {number}", number, text, inputs, evaluation) for number, text in numbered]
    kept = [line for line in (_judged_by(line, evaluation.usual, wanted) for line in lines) if line.metrics]
    if not kept:
        raise DataError(f"{path} has no line that {', '.join(wanted) or 'a metric'} judges")
    return Data(path, hashlib.sha256(content).hexdigest(), kept)


def _line(where: str, number: int, text: str, inputs: Mapping[str, Any], evaluation: Evaluation) -> Line:
    try:
        written = _Written.model_validate(json.loads(text))
    except json.JSONDecodeError as error:
        raise DataError(f"{where} is not JSON: {error.msg} at column {error.colno}") from error
    except ValidationError as error:
        problem = error.errors()[0]
        if problem["type"] == "extra_forbidden":
            key = str(problem["loc"][-1])
            raise DataError(f"{where}: unknown key {key}{suggestion(key, list(_Written.model_fields))}") from error
        raise DataError(f"{where}: {in_words(error)}") from error
    try:
        TypeAdapter(evaluation.expected).validate_python(written.expected, strict=True)
    except ValidationError as error:
        raise DataError(f"{where}: expected must be {evaluation.expected_is}") from error
    _check_known(where, "input", written.input, list(inputs))
    if missing := [name for name, default in inputs.items() if default is REQUIRED and name not in written.input]:
        raise DataError(f"{where}: the input {missing[0]} is missing")
    _check_known(where, "metric", written.metrics, evaluation.metrics)
    return Line(number, written.input, inputs, written.expected, written.group, tuple(written.metrics))


def _check_known(where: str, what: str, names: Iterable[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise DataError(f"{where}: unknown {what} {name}{suggestion(name, known)}")


def _judged_by(line: Line, usual: Sequence[str], wanted: Sequence[str]) -> Line:
    own = line.metrics or tuple(wanted or usual)
    kept = tuple(name for name in own if not wanted or name in wanted)
    return replace(line, metrics=kept)
