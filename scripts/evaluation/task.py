"""What the evaluation must know of a task; each file in scripts/tasks has it as EVALUATION."""

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

from models.cancellation import Cancellation

Kind = Literal["output", "likelihood"]
"""What of a model a metric needs: what it answers, or how likely the expected answer is to it."""


@dataclass(frozen=True)
class Line:
    """One line: its number in the file (from 1), what stands there, and the inputs that predict() has by default."""

    number: int
    input: dict[str, Any]
    defaults: Mapping[str, Any]
    expected: Any
    group: str
    metrics: tuple[str, ...]


Measure = Callable[[Line], Any]
"""What the model gives for a line, as a JSON value: its output as metrics read it, or how likely the answer is."""


@dataclass(frozen=True)
class Evaluation:
    """What can judge a task, and how its models are asked.

    `metrics`: those that can judge it; `usual`: those of a line that names none; `expected` and `expected_is`: the type
    of what a line expects, and the same in words.

    `measures(model, kinds, stop)` loads what the kinds need of a model of the task until its block ends, and gives a
    function for each kind, which several threads call at once; when `stop` is requested, they end early.
    """

    metrics: tuple[str, ...]
    usual: tuple[str, ...]
    expected: Any
    expected_is: str
    measures: Callable[[Any, Collection[Kind], Cancellation], AbstractContextManager[Mapping[Kind, Measure]]]
