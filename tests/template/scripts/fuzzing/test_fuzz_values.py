"""The values that the fuzz makes for one input, by what the schema says of it."""

import json
from typing import Any

import pytest

from scripts.contract import meaning
from scripts.fuzzing import cases as fuzz
from scripts.fuzzing import files, values
from tests.schemas import cog

PNG = next(files.data_uris(None))[1]
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
