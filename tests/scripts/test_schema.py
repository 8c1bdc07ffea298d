"""The schema of a predict.py, read without running it; what Cog would garble is an error that names the line.

tests/container compares it with what the real `cog build` writes.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts import schema
from scripts.schema import SchemaError

FILE = '''from cog import BasePredictor, Input

LIMIT = 10
COLORS = ["red", "green"]


class Painter(BasePredictor):
    def predict(self, {parameters}) -> {output}:
        """Paint."""
'''


@pytest.fixture
def predict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes a predict.py for this test: FILE with these parameters, or another text."""
    monkeypatch.setattr(schema, "PROJECT", tmp_path)

    def write(parameters: str = "x: int", output: str = "str", text: str = "") -> None:
        (tmp_path / "predict.py").write_text(text or FILE.format(parameters=parameters, output=output))

    return write


def components() -> dict[str, Any]:
    return schema.generate("Painter")["components"]["schemas"]


def field(name: str = "x") -> dict[str, Any]:
    return components()["Input"]["properties"][name]


@pytest.mark.parametrize(
    ("annotation", "described"),
    [
        ("str", {"type": "string"}),
        ("int", {"type": "integer"}),
        ("float", {"type": "number"}),
        ("bool", {"type": "boolean"}),
        ("dict", {"type": "object"}),
        ("Path", {"type": "string", "format": "uri"}),
        ("cog.Path", {"type": "string", "format": "uri"}),
        ("Secret", {"type": "string", "format": "password", "writeOnly": True, "x-cog-secret": True}),
        ("list[int]", {"type": "array", "items": {"type": "integer"}}),
        ("List[Path]", {"type": "array", "items": {"type": "string", "format": "uri"}}),
    ],
)
def test_each_type_has_its_json_schema_and_is_required(
    predict: Callable[..., None], annotation: str, described: dict[str, Any]
) -> None:
    predict(f"x: {annotation}")
    assert field() == {"title": "X", "x-order": 0, **described}
    assert components()["Input"]["required"] == ["x"]


@pytest.mark.parametrize("annotation", ["int | None", "Optional[int]", "typing.Optional[int]"])
def test_an_optional_input_may_be_null_and_is_not_required(predict: Callable[..., None], annotation: str) -> None:
    predict(f"x: {annotation} = Input(default=None)")
    assert field() == {"title": "X", "type": "integer", "nullable": True, "default": None, "x-order": 0}
    assert "required" not in components()["Input"]


@pytest.mark.parametrize(
    ("options", "keyword", "value"),
    [
        ('description="How big"', "description", "How big"),
        ("ge=1", "minimum", 1),
        ("ge=-1.5", "minimum", -1.5),
        ("le=LIMIT", "maximum", 10),
        ("min_length=2", "minLength", 2),
        ("max_length=3", "maxLength", 3),
        ('regex="^a"', "pattern", "^a"),
        ("deprecated=True", "deprecated", True),
        ("default=7", "default", 7),
        ("default=LIMIT", "default", 10),
        ("7", "default", 7),
    ],
)
def test_each_constraint_has_its_json_schema(
    predict: Callable[..., None], options: str, keyword: str, value: Any
) -> None:
    predict(f"x: int = Input({options})")
    assert field()[keyword] == value


def test_a_plain_default_makes_an_input_not_required(predict: Callable[..., None]) -> None:
    predict("x: int, some_name: float = 0.5")
    assert field("some_name") == {"title": "Some Name", "type": "number", "default": 0.5, "x-order": 1}
    assert components()["Input"]["required"] == ["x"]


@pytest.mark.parametrize("choices", ['["red", "green"]', "COLORS"])
def test_choices_become_an_enumeration(predict: Callable[..., None], choices: str) -> None:
    predict(f'x: str = Input(choices={choices}, default="red")')
    assert field() == {"allOf": [{"$ref": "#/components/schemas/x"}], "default": "red", "x-order": 0}
    enumeration = {"title": "x", "description": "An enumeration.", "enum": ["red", "green"], "type": "string"}
    assert components()["x"] == enumeration


@pytest.mark.parametrize(
    ("output", "described"),
    [
        ("str", {"type": "string"}),
        ("Path", {"type": "string", "format": "uri"}),
        ("list[float]", {"type": "array", "items": {"type": "number"}}),
        ("Iterator[str]", {"type": "array", "items": {"type": "string"}, "x-cog-array-type": "iterator"}),
        (
            "AsyncConcatenateIterator[str]",
            {
                "type": "array",
                "items": {"type": "string"},
                "x-cog-array-type": "iterator",
                "x-cog-array-display": "concatenate",
            },
        ),
    ],
)
def test_each_output_type_has_its_json_schema(
    predict: Callable[..., None], output: str, described: dict[str, Any]
) -> None:
    predict(output=output)
    assert components()["Output"] == {"title": "Output", **described}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("x: int = Input(ge=max(1, 2))", "line 8: max(1, 2) is no literal, so Cog would leave it out"),
        ("x: int = Input(le=ELSEWHERE)", "line 8: ELSEWHERE is no literal"),
        ('x: str = Input(description="one" "two")', "line 8: Cog does not join adjacent strings: write one"),
        ('x: str = Input(description="one" + "two")', "line 8: 'one' + 'two' is no literal"),
        ("x: int = 1 + LIMIT", "line 8: 1 + LIMIT is no literal"),
        ("x: set", "line 8: the input x has the type set: use bool, float, int, str"),
        ("x: list[set]", "line 8: the input x has the type set"),
        ("x: int | str", "line 8: the input x has the type int | str"),
        ("x", "line 8: the input x needs a type"),
    ],
)
def test_what_cog_would_garble_is_an_error_that_names_the_line(
    predict: Callable[..., None], parameters: str, message: str
) -> None:
    predict(parameters)
    with pytest.raises(SchemaError, match=f"^predict.py, {re.escape(message)}"):
        schema.generate("Painter")


def test_an_output_type_that_cannot_be_described_is_an_error(predict: Callable[..., None]) -> None:
    predict(output="set[int]")
    with pytest.raises(SchemaError, match=r"line 8: cannot describe the output type set\[int\]"):
        schema.generate("Painter")


def test_an_output_without_a_type_is_an_error(predict: Callable[..., None]) -> None:
    predict(text="class Painter:\n    def predict(self):\n        pass\n")
    with pytest.raises(SchemaError, match="line 2: predict needs a return annotation"):
        schema.generate("Painter")


def test_a_class_that_is_not_there_is_an_error_that_lists_those_that_are(predict: Callable[..., None]) -> None:
    predict()
    with pytest.raises(SchemaError, match="no class Sculptor with a predict method: it has Painter"):
        schema.generate("Sculptor")


def test_a_syntax_error_names_the_line(predict: Callable[..., None]) -> None:
    predict(text="import cog\nclass Painter(:\n")
    with pytest.raises(SchemaError, match=r"^predict\.py, line 2: invalid syntax"):
        schema.generate("Painter")


def test_a_file_without_classes_says_so(predict: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    predict(text="import cog\n")
    assert schema.main([]) == 1
    assert "no class" in capsys.readouterr().err


def test_streaming_and_slots_are_read_from_the_decorators(predict: Callable[..., None]) -> None:
    method = "    async def predict(self) -> Iterator[str]: ...\n"
    predict(text=f"class Painter:\n    @streaming\n    @cog.concurrent(max=4)\n{method}class Plain:\n{method}")
    routes = {name: schema.generate(name)["paths"]["/predictions"]["post"] for name in schema.class_names()}
    assert {name: route.get("x-cog-streaming") for name, route in routes.items()} == {"Painter": True, "Plain": None}
    assert (schema.max_concurrency("Painter"), schema.max_concurrency("Plain")) == (4, 1)


def test_predict_py_is_never_run(predict: Callable[..., None]) -> None:
    predict(text="raise SystemExit('it ran')\n" + FILE.format(parameters="x: int", output="str"))
    assert field()["type"] == "integer"


def test_the_command_prints_the_schema_or_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert schema.main([]) == 0
    assert json.loads(capsys.readouterr().out) == schema.generate("TextGeneration")
    assert schema.main(["Sculptor"]) == 1
    assert capsys.readouterr() == (
        "",
        "predict.py has no class Sculptor with a predict method: it has TextGeneration\n",
    )


def test_the_server_finds_the_schema_in_the_folder_it_runs_in(predict: Callable[..., None], tmp_path: Path) -> None:
    predict()
    path = schema.write_for_server("Painter")
    assert path == tmp_path / ".cog" / "openapi_schema.json"
    assert json.loads(path.read_text()) == schema.generate("Painter")
