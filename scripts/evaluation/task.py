"""What the evaluation needs from a task: EVALUATION in each file of scripts/tasks."""

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

from models.cancellation import Cancellation

Kind = Literal["output", "likelihood"]
"""What a metric needs from a model: its output, or the likelihood that it gives to the expected answer."""


@dataclass(frozen=True)
class Line:
    """One line: its number in the file (from 1), its content, and the default inputs of predict()."""

    number: int
    input: dict[str, Any]
    defaults: Mapping[str, Any]
    expected: Any
    group: str
    metrics: tuple[str, ...]


Measure = Callable[[Line], Any]
"""The model's answer to a line, as a JSON value: its output in the metrics' form, or the answer's likelihood."""


@dataclass(frozen=True)
class Evaluation:
    """The metrics of a task, and how its models are run.

    `metrics`: all that can score it; `usual`: those of a line that names none; `expected`, `expected_is`: the type of
    what a line expects, and the same in words.

    `measures(model, kinds, stop)` is a context manager. It loads what the kinds need from a model, and yields a
    function for each kind. Several threads call them at once; they end early when `stop` is requested.
    """

    metrics: tuple[str, ...]
    usual: tuple[str, ...]
    expected: Any
    expected_is: str
    measures: Callable[[Any, Collection[Kind], Cancellation], AbstractContextManager[Mapping[Kind, Measure]]]
