"""A model's answers to the lines of the data: evals/<model>/<name>.jsonl, whose first line says what made them.

Each answer is written as it arrives, so an interrupted run continues, and a repeated run reuses all answers.
"""

import hashlib
import json
import queue
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.cancellation import Cancellation
from models.engine import EngineChoice
from models.errors import TemplateError, in_words
from models.manifest import PROJECT, Manifest
from models.manifest import path_of as manifest_path
from models.weights.lock import path_of as lock_path
from scripts.benchmark import machine
from scripts.evaluation.data import Data, DataError
from scripts.evaluation.metrics import METRICS
from scripts.evaluation.task import Evaluation, Kind, Line, Measure

PACKAGES = ("openvino", "openvino-genai", "torch", "transformers", "tokenizers")
Given = dict[Kind, Any]
"""The model's answers to a line, by kind."""


@dataclass(frozen=True)
class Answers:
    """The answers by line number, and what made them: the model's version and the data's sha256."""

    made_by: dict[str, Any]
    given: dict[int, Given]

    def covers(self, data: Data) -> bool:
        """Whether every line has the answers that its metrics need."""
        return all(_needs(line) <= self.given.get(line.number, {}).keys() for line in data.lines)


def maker(model: Manifest, choice: EngineChoice, data: Data) -> dict[str, Any]:
    """What answers depend on: answers are reused only if all of it is the same.

    `version` is a hash of the manifests and locks of the model and those that it uses, the code that runs it, and the
    packages.
    """
    code = PROJECT / "scripts" / "tasks" / f"{model.task.replace('-', '_')}.py"
    version = hashlib.sha256()
    described = [path_of(slug) for slug in (model.slug, *model.uses) for path_of in (manifest_path, lock_path)]
    for path in (*described, code, *sorted((PROJECT / "models").rglob("*.py"))):
        if path.is_file():  # a model without weights has no lock
            version.update(hashlib.sha256(path.read_bytes()).digest())
    packages = machine.versions(PACKAGES)
    version.update(json.dumps([packages, choice.model_dump()], sort_keys=True).encode())
    return {
        "model": model.slug,
        "engine": choice.engine,
        "device": choice.device,
        "dtype": choice.dtype,
        "machine": machine.described(choice)["name"],
        "version": version.hexdigest()[:16],
        "packages": packages,
        "data": data.sha256,
    }


def read(path: Path) -> Answers | None:
    """The answers in a file; None if there is no file. An incomplete last line is ignored.

    Raises:
        DataError: it is another kind of file.
    """
    try:
        first, *rest = path.read_text(encoding="utf-8").split("\n")
        made_by = json.loads(first)["made_by"]
        answers = {one["line"]: one["given"] for one in map(json.loads, rest[:-1])}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a file of answers: remove it, or name another") from error
    return Answers(made_by, answers)


def collect(
    path: Path, model: Manifest, made_by: dict[str, Any], data: Data, evaluation: Evaluation, streams: int
) -> Answers:
    """The answers to all lines: earlier ones of the same model, and new ones for the other lines.

    Raises:
        TemplateError: the model cannot be loaded or does not answer; names the line.
    """
    known = read(path)
    if known is None or known.made_by != made_by:
        known = Answers(made_by, {})
    missing = [line for line in data.lines if not _needs(line) <= known.given.get(line.number, {}).keys()]
    if known.given:
        print(f"{len(data.lines) - len(missing)} of {len(data.lines)} lines were answered before", file=sys.stderr)
    if missing:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, known)
        with path.open("a", encoding="utf-8") as file:
            _ask(model, evaluation, missing, streams, lambda line, given: _add(file, known, line, given))
        _write(path, known)
    return known


def _write(path: Path, answers: Answers) -> None:
    lines: list[dict[str, Any]] = [{"made_by": answers.made_by}]
    lines += [{"line": number, "given": given} for number, given in sorted(answers.given.items())]
    new = path.with_name(f"{path.name}.new")
    new.write_text("".join(_json(line) for line in lines), encoding="utf-8")
    new.replace(path)


def _add(file: Any, known: Answers, line: Line, given: Given) -> None:
    given = known.given.get(line.number, {}) | given
    known.given[line.number] = given
    file.write(_json({"line": line.number, "given": given}))
    file.flush()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"


def _needs(line: Line) -> set[Kind]:
    return {METRICS[name].kind for name in line.metrics}


def _ask(
    model: Manifest, evaluation: Evaluation, lines: list[Line], streams: int, add: Callable[[Line, Given], None]
) -> None:
    """Load the model, and let it answer `streams` lines at once."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    stop = Cancellation()
    kinds = {kind for line in lines for kind in _needs(line)}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    answered: queue.SimpleQueue[tuple[Line, Given | BaseException]] = queue.SimpleQueue()
    with (
        evaluation.measures(model, kinds, stop) as measures,
        Progress(*columns, console=Console(stderr=True)) as shown,
        ThreadPoolExecutor(streams) as pool,
    ):
        task = shown.add_task(f"asking {model.slug}", total=len(lines))
        try:
            for line in lines:
                pool.submit(_answer, measures, line, answered)
            for _ in lines:  # SimpleQueue has no lock that Ctrl-C could leave taken
                line, given = answered.get()
                if isinstance(given, BaseException):
                    raise given
                add(line, given)
                shown.advance(task)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            stop.request()
            raise


def _answer(measures: Mapping[Kind, Measure], line: Line, answered: queue.SimpleQueue[Any]) -> None:
    try:
        answered.put((line, _measured(measures, line)))
    except BaseException as error:
        answered.put((line, error))


def _measured(measures: Mapping[Kind, Measure], line: Line) -> Given:
    try:
        return {kind: measures[kind](line) for kind in sorted(_needs(line))}
    except TemplateError as error:
        raise type(error)(f"line {line.number} of the data: {error}") from error
    except Exception as error:
        raise DataError(f"line {line.number} of the data cannot be answered: {in_words(error)}") from error
