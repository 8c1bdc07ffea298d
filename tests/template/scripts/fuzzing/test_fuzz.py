"""Cases follow from the schema alone: each bound, one past it, each choice; a response is judged by its case."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from models import manifest
from scripts import fuzz as script
from scripts import tasks
from scripts.contract import meaning
from scripts.contract import schema as schemas
from scripts.fuzzing import cases as fuzz
from scripts.fuzzing import files, probe, values
from tests.schemas import cog

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
PNG = next(files.data_uris(None))[1]
OUTPUT = meaning.read(cog({}, {"type": "array", "items": {"type": "string"}})).output


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


URI = {"type": "string", "format": "uri"}
PATTERN = {"type": "string", "pattern": "^[a-z]+$", "default": "abc"}


def made_for(field: dict[str, Any], known: Any, **limits: float) -> list[fuzz.Case]:
    """The cases for one input x, required if it has no default; `known` is a value that works."""
    required = () if "default" in field else ("x",)
    return fuzz.cases(cog({"x": field}, required=required), [{"x": known}], limits=limits)


def values_of(made: list[fuzz.Case], expect: str) -> list[Any]:
    return [case.input["x"] for case in made if case.expect == expect and "x" in case.input]


@pytest.mark.parametrize(
    ("field", "known", "lowest"),
    [
        ({"type": "integer", "minimum": 16, "maximum": 64}, 32, 16),
        ({"type": "integer", "minimum": 0, "maximum": 2}, 2, 2),
        ({"type": "integer", "minimum": 4, "exclusiveMinimum": True}, 9, 5),
        ({"type": "integer", "enum": [256, 512]}, 512, 256),
        ({"type": "integer", "nullable": True, "minimum": 1}, None, 4),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "many", 4),
        ({"type": "string"}, "many", "many"),
    ],
)
def test_a_limit_stays_inside_the_bounds(field: dict[str, Any], known: Any, lowest: Any):
    made = made_for(field, known, x=4)
    assert made[0].input == {"x": lowest}
    assert made[0].expect == "valid"
    numbers = [case for case in made if case.expect == "valid" and type(case.input["x"]) is int]
    assert all(case.is_long == (case.input["x"] > lowest) for case in numbers if isinstance(lowest, int))
    assert not any(case.is_long for case in made if case.name.startswith("mixed"))


def test_an_exclusive_bound_is_itself_refused():
    made = made_for({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, 0.5)
    found = {case.name: case.expect for case in made}
    assert (found["x: the minimum 0"], found["x: just inside the minimum"]) == ("invalid", "valid")


def test_no_integer_is_too_large_to_reach_the_model_as_an_integer():
    made = made_for({"type": "integer", "minimum": 0, "maximum": 2**64 - 1}, 1)
    assert max(value for value in values_of(made, "valid") if isinstance(value, int)) == 2**63 - 1


def test_a_union_allows_what_one_of_its_types_allows():
    made = made_for({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "array", "items": {"type": "string"}}]}, 1)
    assert {"1", '["a"]'} <= {json.dumps(value) for value in values_of(made, "valid")}
    assert {"0", '"1"', "[null]"} <= {json.dumps(value) for value in values_of(made, "invalid")}


@pytest.mark.parametrize("field", [URI, {"type": "array", "items": URI}])
def test_a_file_input_gets_a_file_and_never_a_text(field: dict[str, Any]):
    made = made_for(field, [PNG] if "items" in field else PNG)
    valid = [value for value in values_of(made, "valid") for value in (value if isinstance(value, list) else [value])]
    assert valid
    assert all(value.startswith("data:image/png;base64,") for value in valid)


@pytest.mark.parametrize(
    ("accept", "kinds"),
    [
        ("image/*", {"image/png", "image/jpeg", "image/webp"}),
        (".jpeg, .TXT", {"image/jpeg", "text/plain"}),
        ("audio/x-wav", {"audio/wav"}),
        ("video/mp4", set()),
        (None, {"image/png"}),
    ],
)
def test_a_file_has_a_type_that_the_input_accepts(accept: str | None, kinds: set[str]):
    assert {kind for kind, _ in files.data_uris(accept)} == kinds


def test_a_value_that_the_schema_does_not_describe_is_a_guess():
    assert {case.name for case in made_for({"type": "object"}, {"a": 1}) if case.is_guess} >= {"x: empty", "x: nested"}
    assert any(case.is_guess for case in made_for({"type": "array", "items": URI}, []))
    assert any(case.is_guess for case in made_for(URI | {"x-cog-accept": "image/*"}, PNG))
    secrets = made_for({"type": "string", "format": "password"}, "known")
    assert not any(case.is_guess for case in secrets if case.input.get("x") == "known")
    assert {case.input["x"] for case in secrets if case.name.startswith("mixed")} <= {"known"}
    assert not any(case.is_guess for case in made_for({"type": "string"}, "a"))


def test_only_plain_texts_are_certain_against_a_pattern():
    found = {case.name: case.expect for case in made_for(PATTERN, "a")}
    assert (found["x: its default"], found["x: quotes"], found["x: emoji"]) == ("valid", "invalid", "either")
    unknown = made_for({"type": "string", "pattern": r"\p{L}"}, "a")  # Cog knows it and Python does not
    assert {case.expect for case in unknown if isinstance(case.input.get("x"), str)} == {"valid", "either"}


@pytest.mark.parametrize("output", [{"a": [1]}, "text", None, [1, 2]])
def test_an_output_of_any_type_may_be_anything(output: Any):
    assert values.fits(output, meaning.read(cog({}, {"type": "object"})).output, is_output=True)
    typed = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "object"}}}, "required": ["a"]}
    assert values.fits(output, meaning.read(cog({}, typed)).output, is_output=True) == (output == {"a": [1]})
    secret = {"type": "string", "format": "password", "writeOnly": True}
    assert values.fits({"secret_value": "x"}, meaning.read(cog({}, secret)).output, is_output=True)


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
    made = fuzz.cases(schemas.generate(model.predictor_class), examples, limits=tasks.fact(model, "LIMITS", {}))
    tried = [(case.input.get("max_tokens"), case.expect, case.is_long) for case in made]
    for wanted in [(131072, "valid", True), (131073, "invalid", False), (1, "valid", False), (0, "invalid", False)]:
        assert wanted in tried
    assert any(case.input.get("messages") == [] for case in made)


VALID = fuzz.Case("text: x", {}, "valid")
ODD = fuzz.Case("text: x", {}, "valid", may_refuse=True)
GUESS = fuzz.Case("text: x", {}, "valid", may_refuse=True, is_guess=True)
LONG = fuzz.Case("count: x", {}, "valid", is_long=True)
WRONG = fuzz.Case("text: x", {}, "invalid", may_refuse=True)
EITHER = fuzz.Case("text: x", {}, "either")


def prediction(status: str, **more: Any) -> str:
    return json.dumps({"status": status, **more})


def failed(error: str) -> str:
    return prediction("failed", error=error)


@pytest.mark.parametrize(
    ("case", "status", "text", "outcome", "problem"),
    [
        (VALID, 200, prediction("succeeded", output=["a"]), "succeeded", None),
        (EITHER, 200, prediction("succeeded", output=[]), "succeeded", None),
        (EITHER, 422, "{}", "422", None),
        (WRONG, 422, "{}", "422", None),
        (ODD, 200, failed("Prediction failed: InputError: too long"), "refused", None),
        (GUESS, 200, failed("Prediction failed: KeyError: 'role'"), "failed", None),
        (GUESS, 500, "oops", "wrong", "answered with 500"),
        (LONG, 200, prediction("canceled"), "canceled", None),
        (VALID, 422, "{}", "422", "refused with 422"),
        (ODD, 422, "{}", "422", "refused with 422"),
        (VALID, 500, "oops", "wrong", "answered with 500, not 200: oops"),
        (EITHER, 500, "oops", "wrong", "answered with 500"),
        (WRONG, 500, "oops", "wrong", "answered with 500, not 422: oops"),
        (WRONG, 200, failed("InputError: no"), "wrong", "answered with 200, not 422"),
        (VALID, 409, "full", "wrong", "answered with 409"),
        (VALID, 200, "<html>", "wrong", "other than a prediction"),
        (VALID, 200, "[]", "wrong", "other than a prediction"),
        (VALID, 200, failed("InputError: too long"), "failed", "failed: InputError: too long"),
        (EITHER, 200, failed("InputError: too long"), "failed", "failed: InputError"),
        (ODD, 200, failed("Prediction failed: ValueError: too long"), "failed", "failed: "),
        (ODD, 200, failed("InputError: too long\n  File x.py"), "failed", "failed: "),
        (ODD, 200, failed("InputError: "), "failed", "failed: "),
        (ODD, 200, prediction("failed", error=None), "failed", "failed: None"),
        (VALID, 200, prediction("canceled"), "wrong", "ended as canceled"),
        (VALID, 200, prediction("succeeded", output="a"), "wrong", "not of type array"),
        (VALID, 200, prediction("succeeded", output=["a", 5]), "wrong", "not of type array"),
        (VALID, 200, prediction("succeeded"), "wrong", "not of type array"),
    ],
)
def test_a_response_is_judged(case: fuzz.Case, status: int, text: str, outcome: str, problem: str | None):
    found, reason = probe.judge(case, status, text, OUTPUT)
    assert found == outcome
    assert (reason is None) if problem is None else (problem in (reason or ""))


@pytest.mark.parametrize("text", ['it\'s "quoted" $HOME `id` \\ \n \x00 😀', "word " * 5000])
def test_the_curl_command_contains_the_complete_input(text: str):
    words = shlex.split(probe.curl_of("http://127.0.0.1:1", fuzz.Case("text: x", {"text": text}, "valid")))
    body = words[words.index("--data-binary") + 1]
    content = Path(body[1:]).read_text() if body.startswith("@") else body
    assert words[:3] == ["curl", "-sS", "http://127.0.0.1:1/predictions"]
    assert json.loads(content) == {"input": {"text": text}}
    assert len(" ".join(words)) < 2500


def test_a_missing_server_is_an_error_and_a_wrong_option_is_wrong_usage(capsys: pytest.CaptureFixture[str]):
    assert script.main(["--url", "http://127.0.0.1:9"]) == 1
    assert "no Cog server answers at http://127.0.0.1:9" in capsys.readouterr().err
    assert script.main(["--cases", "-1"]) == 2
