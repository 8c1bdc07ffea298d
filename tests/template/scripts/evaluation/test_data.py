"""The data: the fields of a line, and errors that name a wrong line by its number."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from models.manifest import PROJECT
from scripts.evaluation import data
from scripts.evaluation.data import DataError
from scripts.tasks import text_generation

TASK = text_generation.EVALUATION
INPUTS = {"prompt": data.REQUIRED, "raw": False}
GOOD = {"input": {"prompt": "a"}, "expected": "b"}


def written(folder: Path, *lines: Any) -> Path:
    path = folder / "data.jsonl"
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def test_a_line_uses_the_task_s_default_metrics_or_its_own(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD, "", GOOD | {"metrics": ["f1", "wer"], "group": "x"})
    found = data.read(path, INPUTS, TASK, [])
    assert [(line.number, line.group, line.metrics) for line in found.lines] == [
        (1, "", ("exact_match",)),
        (3, "x", ("f1", "wer")),
    ]
    assert found.metrics == ["exact_match", "f1", "wer"]


def test_selecting_metrics_skips_lines_that_have_other_metrics(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD, GOOD | {"metrics": ["f1", "wer"]}, GOOD | {"metrics": ["rougeL"]})
    found = data.read(path, INPUTS, TASK, ["wer", "includes"])
    assert [(line.number, line.metrics) for line in found.lines] == [(1, ("wer", "includes")), (2, ("wer",))]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2 is not JSON: expecting property name"),
        ("[1]", "line 2: the whole"),
        ({"input": {"prompt": "a"}}, "line 2: expected: field required"),
        ({"input": {}, "expected": "a"}, "line 2: input: dictionary should have at least 1 item"),
        (GOOD | {"expect": "b"}, r"line 2: unknown key expect \(did you mean expected\?\)"),
        (GOOD | {"input": {"promt": "a"}}, r"line 2: unknown input promt \(did you mean prompt\?\)"),
        (GOOD | {"input": {"raw": True}}, "line 2: the input prompt is missing"),
        (GOOD | {"metrics": ["exact"]}, r"line 2: unknown metric exact \(did you mean exact_match\?\)"),
        (GOOD | {"metrics": ["spearman"]}, "line 2: unknown metric spearman"),
        (GOOD | {"expected": 3}, "line 2: expected must be a text that is not empty, or a list"),
        (GOOD | {"expected": []}, "line 2: expected must be a text"),
        (GOOD | {"expected": "  "}, "line 2: expected must be a text"),
    ],
)
def test_a_wrong_line_is_named(line: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"(?i){message}"):
        data.read(written(tmp_path, GOOD, line), INPUTS, TASK, [])


def test_a_missing_binary_or_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such file or directory: DATA=FILE\.jsonl"):
        data.read(tmp_path / "none.jsonl", INPUTS, TASK, [])
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="is not UTF-8"):
        data.read(tmp_path / "bytes.jsonl", INPUTS, TASK, [])
    with pytest.raises(DataError, match="has no line that wer judges"):
        data.read(written(tmp_path, GOOD | {"metrics": ["f1"]}), INPUTS, TASK, ["wer"])


@pytest.mark.parametrize(
    "path", sorted((PROJECT / "examples" / "evaluation").glob("*.jsonl")), ids=lambda path: path.stem
)
def test_every_data_set_of_this_project_is_large_enough(path: Path) -> None:
    names = {name for line in path.read_text().splitlines() for name in json.loads(line)["input"]}
    judged = importlib.import_module(f"scripts.tasks.{path.stem.replace('-', '_')}").EVALUATION
    found = data.read(path, dict.fromkeys(names), judged, [])
    assert len(found.lines) >= 60
    texts = [json.dumps(line.input, sort_keys=True) for line in found.lines]
    assert len(set(texts)) == len(texts)
