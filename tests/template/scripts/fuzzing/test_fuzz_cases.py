"""The cases of the fuzz follow from the schema alone: each bound, one past it, each choice, files, mixtures."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from models import manifest
from scripts import tasks
from scripts.contract import meaning
from scripts.contract import schema as schemas
from scripts.fuzzing import cases as fuzz
from scripts.fuzzing import values

PROJECT = Path(__file__).parents[4]
PREDICTOR = """
from cog import BasePredictor, Input, Path

class Sample(BasePredictor):
    def predict(
        self,
        text: str = Input(min_length=2, max_length=5),
        style: str = Input(default="plain", choices=["plain", "bold"]),
        size: int = Input(default=2, choices=[1, 2, 4]),
        count: int = Input(default=3, ge=1, le=10),
        scale: float = Input(default=1.0, ge=0.5, le=2.0),
        code: str = Input(default="abc", regex="^[a-c]+$"),
        seed: int | None = Input(default=None, ge=0),
        stop: list[str] | None = Input(default=None),
        notes: list[dict] | None = Input(default=None),
        shares: list[float] | None = Input(default=None),
        image: Path | None = Input(default=None),
        loud: bool = False,
    ) -> str:
        return text
"""
BASE = {"text": "abc"}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("sample") / "predict.py"
    path.write_text(PREDICTOR)
    return schemas.generate("Sample", path)


@pytest.fixture(scope="module")
def cases(document: dict[str, Any]) -> list[fuzz.Case]:
    return fuzz.cases(document, [BASE], limits={"count": 4})


def expected(cases: list[fuzz.Case], name: str, value: Any) -> str | None:
    """The expected response of the case that changes only one input of BASE; None if there is no such case."""
    wanted = json.dumps({"count": 4, **BASE, name: value}, sort_keys=True)
    found = [case.expect for case in cases if json.dumps(case.input, sort_keys=True) == wanted]
    return found[0] if found else None


@pytest.mark.parametrize(
    ("name", "value", "expect"),
    [
        ("count", 1, "valid"),
        ("count", 0, "invalid"),
        ("count", 10, "valid"),
        ("count", 11, "invalid"),
        ("count", 9, "valid"),
        ("count", 3.0, "either"),
        ("count", 1.5, "invalid"),
        ("count", True, "invalid"),
        ("count", "1", "invalid"),
        ("count", None, "invalid"),
        ("scale", 0.5, "valid"),
        ("scale", -0.5, "invalid"),
        ("scale", 0.5 - 1e-9, "invalid"),
        ("scale", 2, "valid"),
        ("scale", 3, "invalid"),
        ("scale", 1, "valid"),
        ("scale", 1e308, "invalid"),
        ("scale", -0.0, "invalid"),
        ("text", "éé", "valid"),
        ("text", "é", "invalid"),
        ("text", "é" * 5, "valid"),
        ("text", "é" * 6, "invalid"),
        ("text", "", "invalid"),
        ("text", "a\x00b", "valid"),
        ("text", 1, "invalid"),
        ("text", "word " * 20_000, "invalid"),
        ("style", "plain", "valid"),
        ("style", "bold", "valid"),
        ("style", "BOLD", "invalid"),
        ("style", "bold ", "invalid"),
        ("style", "no such choice", "invalid"),
        ("size", 1, "valid"),
        ("size", 2, "valid"),
        ("size", 4, "valid"),
        ("size", 5, "invalid"),
        ("size", True, "invalid"),
        ("code", "a", "valid"),
        ("code", "../../etc/passwd", "invalid"),
        ("seed", 0, "valid"),
        ("seed", -1, "invalid"),
        ("seed", None, "either"),
        ("seed", 2**63 - 1, "valid"),
        ("stop", [], "valid"),
        ("stop", ["a", ""], "valid"),
        ("stop", ["a", 1], "invalid"),
        ("stop", [None], "invalid"),
        ("stop", [f"text {number}" for number in range(1000)], "valid"),
        ("stop", {"a": 1}, "invalid"),
        ("notes", [{}], "valid"),
        ("notes", [{"a": {"b": [None, {"c": "d"}]}}], "valid"),
        ("notes", ["1"], "invalid"),
        ("shares", [-0.0], "valid"),
        ("shares", [1e308], "valid"),
        ("shares", ["1"], "invalid"),
        ("image", 1, "invalid"),
        ("image", "1", None),
        ("loud", False, "valid"),
        ("loud", True, "valid"),
        ("loud", 1, "invalid"),
        ("no_such_input", 1, "either"),
    ],
)
def test_the_schema_decides_which_response_a_value_must_get(cases: list[fuzz.Case], name: str, value: Any, expect: str):
    assert expected(cases, name, value) == expect


def test_a_required_input_is_left_out(cases: list[fuzz.Case]):
    assert {case.name: (case.input, case.expect) for case in cases}["text: missing"] == ({"count": 4}, "invalid")


def test_every_case_has_a_unique_name_and_input(cases: list[fuzz.Case]):
    assert len({case.name for case in cases}) == len(cases)
    assert len({json.dumps(case.input, sort_keys=True) for case in cases}) == len(cases)


def test_no_text_contains_half_a_character(cases: list[fuzz.Case]):
    for case in cases:
        json.dumps(case.input, ensure_ascii=False, allow_nan=False).encode()


def test_mixed_cases_stay_in_their_bounds(document: dict[str, Any]):
    inputs = meaning.read(document).inputs
    mixed = [case for case in fuzz.cases(document, [BASE], mixed=300, limits={"count": 4}) if "mixed" in case.name]
    assert len(mixed) > 200
    assert all(values.fits(case.input[name], inputs[name].value) for case in mixed for name in case.input)
    assert all(case.input["count"] <= 4 for case in mixed)
    assert {case.input.get("size") for case in mixed} == {None, 1, 2, 4}
    assert not any(case.is_long for case in mixed)


def test_only_valid_values_beyond_a_limit_are_long(cases: list[fuzz.Case]):
    assert {case.input["count"] for case in cases if case.is_long} == {9, 10}


def test_an_input_is_changed_in_the_example_that_gives_it(document: dict[str, Any]):
    made = fuzz.cases(document, [BASE, {"text": "stopped", "stop": ["x"]} | {"text": "abcd"}], limits={})
    assert {case.input["text"] for case in made if case.name.startswith("stop: ")} == {"abcd"}
    assert {case.input["text"] for case in made if case.name.startswith("seed: ")} == {"abc"}


def test_only_an_example_must_be_accepted(document: dict[str, Any]):
    made = fuzz.cases(document, [BASE, BASE | {"count": 1}])
    assert [case.name for case in made if not case.may_refuse] == ["example 1", "example 2"]


@pytest.mark.parametrize(
    ("examples", "reason"), [([], "no example"), ([BASE, {"text": "x"}], "example 2 does not fit the schema")]
)
def test_examples_that_cannot_be_changed_are_named(document: dict[str, Any], examples: list, reason: str):
    with pytest.raises(fuzz.FuzzError, match=reason):
        fuzz.cases(document, examples)


def test_the_longest_input_reaches_every_maximum(document: dict[str, Any]):
    assert fuzz.longest(document, BASE, {"count": 4, "elsewhere": 1}) == BASE | {"count": 10}
    assert fuzz.longest(document, BASE, {}) is None


DUMP = """
import dataclasses, json
from models import manifest
from scripts.contract import schema
from scripts.fuzzing import cases as fuzz
model = manifest.selected()
made = fuzz.cases(schema.generate(model.predictor_class), [example.input for example in model.examples], seed={seed})
print(json.dumps([dataclasses.asdict(case) for case in made]))
"""


def dumped(seed: int, hash_seed: str) -> str:
    command = [sys.executable, "-c", DUMP.replace("{seed}", str(seed))]
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    return subprocess.run(command, cwd=PROJECT, env=environment, check=True, capture_output=True, text=True).stdout


def test_the_same_seed_makes_the_same_cases_in_every_interpreter():
    assert dumped(7, "1") == dumped(7, "2") != dumped(8, "1")


def test_the_order_of_the_document_does_not_matter(document: dict[str, Any]):
    assert fuzz.cases(json.loads(json.dumps(document, sort_keys=True)), [BASE]) == fuzz.cases(document, [BASE])


def test_the_default_model_has_all_its_bounds_tried():
    model = manifest.selected()
    examples = [example.input for example in model.examples]
    made = fuzz.cases(schemas.generate(model.predictor_class), examples, limits=tasks.attribute(model, "LIMITS", {}))
    tried = [(case.input.get("max_tokens"), case.expect, case.is_long) for case in made]
    for wanted in [(131072, "valid", True), (131073, "invalid", False), (1, "valid", False), (0, "invalid", False)]:
        assert wanted in tried
    assert any(case.input.get("messages") == [] for case in made)
