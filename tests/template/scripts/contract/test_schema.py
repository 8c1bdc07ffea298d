"""The schema of a predict.py, read without running it: the same as Cog's, or an error with the line and the reason.

tests/template/container runs the real `cog` on the same forms, and compares with the label that `cog build` writes.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models import manifest
from scripts import schema as command
from scripts.contract import schema
from scripts.contract.schema import SchemaError
from tests.template.scripts.contract import forms

FILE = '''from cog import BasePredictor, Input

LIMIT = 10
COLORS = ["red", "green"]


class Painter(BasePredictor):
    def predict(self, {parameters}) -> {output}:
        """Paint."""
'''
ANSWERS = json.loads(forms.ANSWERS.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every form."""
    folder = tmp_path_factory.mktemp("forms")
    forms.write(folder)
    return folder


@pytest.fixture
def predict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes a predict.py for this test: FILE with these parameters, or another text."""
    monkeypatch.setattr(schema, "PROJECT", tmp_path)

    def write(parameters: str = "x: int", output: str = "str", text: str = "") -> None:
        written = text or FILE.format(parameters=parameters, output=output)
        (tmp_path / "predict.py").write_text(written, encoding="utf-8")

    return write


def read(stubs: Path, form: str) -> dict[str, Any] | None:
    """The reader's result for a form; None if it refuses it."""
    try:
        found = forms.said_of(schema.generate(forms.CLASS_OF[form], stubs / "predict.py"))
    except SchemaError:
        return None
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


@pytest.mark.parametrize("form", [form for form in forms.CLASS_OF if form not in forms.REFUSED])
def test_the_reader_agrees_with_cog_on_each_form(stubs: Path, form: str) -> None:
    assert read(stubs, form) == ANSWERS[form]


@pytest.mark.parametrize("form", forms.REFUSED)
def test_code_that_cog_would_silently_misread_is_refused_with_the_line_and_the_reason(stubs: Path, form: str) -> None:
    assert ANSWERS[form]
    with pytest.raises(SchemaError) as refused:
        schema.generate(forms.CLASS_OF[form], stubs / "predict.py")
    assert str(refused.value).startswith("predict.py, line ")
    assert forms.REFUSED[form] in str(refused.value)
    assert "\n" not in str(refused.value)


def test_each_error_names_the_line_of_its_input(predict: Callable[..., None]) -> None:
    predict("x: int,\n        y: int = Input(le=LIMIT)")
    with pytest.raises(SchemaError) as refused:
        schema.generate("Painter")
    assert str(refused.value) == (
        "predict.py, line 9: the input y: le=LIMIT is not a literal to Cog, which would leave it out of the schema: "
        "write the value itself"
    )


def test_a_class_with_run_and_predict_is_refused_as_cogs_server_refuses_it(predict: Callable[..., None]) -> None:
    predict(text=FILE.format(parameters="", output="str") + "class Child(Painter):\n    def run(self) -> str: ...\n")
    with pytest.raises(
        SchemaError, match=r"line 11: Child has run.. and predict.., of which Cog's server takes only one"
    ):
        schema.generate("Child")


RUNNER = "from cog import BaseRunner\nclass Runner(BaseRunner):\n    def run(self, text: str) -> str: ...\n"


def test_the_served_class_is_the_task_s_or_the_only_one(predict: Callable[..., None]) -> None:
    predict(text=RUNNER + "class Loop:\n    def run(self): ...\n")
    assert schema.class_names() == ["Runner"]
    assert schema.served_class(manifest.selected()) == "Runner"
    predict(text=RUNNER + RUNNER.replace("Runner(", "TextGeneration("))
    assert schema.served_class(manifest.selected()) == "TextGeneration"
    predict(text=RUNNER + RUNNER.replace("Runner(", "Other("))
    with pytest.raises(SchemaError, match=r"has no class TextGeneration, for .*: it has Runner, Other"):
        schema.served_class(manifest.selected())
    predict(text="class Plain:\n    def predict(self, x: int) -> str: ...\n")
    assert schema.class_names() == ["Plain"]


def test_a_parent_in_another_file_is_found_and_its_errors_name_that_file(
    predict: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "base.py").write_text(RUNNER.replace("text: str", "text"))
    predict(text="from base import Runner\nclass Child(Runner): ...\n")
    with pytest.raises(SchemaError, match=r"^base\.py, line 3: Cog would leave the input text out"):
        schema.generate("Child")


def test_a_description_that_cog_garbles_gets_a_warning(predict: Callable[..., None]) -> None:
    predict('x: int = Input(description="one"\n        "two"), y: int = Input(description=max("a")), z: int = 1')
    adjacent, computed = schema.remarks("Painter")
    assert adjacent == "predict.py, line 8: the description of x: Cog does not join adjacent strings: write one"
    assert computed.startswith('predict.py, line 9: the description of y: description=max("a") is not a literal to Cog')


def test_an_output_without_a_type_is_an_error(predict: Callable[..., None]) -> None:
    predict(text="class Painter:\n    def predict(self):\n        pass\n")
    with pytest.raises(SchemaError, match="line 2: predict needs a return annotation"):
        schema.generate("Painter")


def test_a_syntax_error_names_the_line(predict: Callable[..., None]) -> None:
    predict(text="import cog\nclass Painter(:\n")
    with pytest.raises(SchemaError, match=r"^predict\.py, line 2: invalid syntax"):
        schema.generate("Painter")


def test_a_file_without_classes_is_an_error(predict: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    predict(text="import cog\n")
    assert command.main([]) == 1
    assert "no class" in capsys.readouterr().err


def test_streaming_and_slots_are_read_from_the_decorators(predict: Callable[..., None]) -> None:
    method = "    async def predict(self) -> Iterator[str]: ...\n"
    classes = f"class Painter:\n    @streaming\n    @cog.concurrent(max=4)\n{method}class Plain:\n{method}"
    predict(text=f"import cog\nfrom cog import Iterator, streaming\n{classes}")
    routes = {name: schema.generate(name)["paths"]["/predictions"]["post"] for name in schema.class_names()}
    assert {name: route.get("x-cog-streaming") for name, route in routes.items()} == {"Painter": True, "Plain": None}
    assert (schema.max_concurrency("Painter"), schema.max_concurrency("Plain")) == (4, 1)


def test_a_decorator_that_cog_does_not_recognise_is_refused(predict: Callable[..., None]) -> None:
    predict(
        text="from cog import *\nclass Painter(BaseRunner):\n    @streaming\n    def run(self) -> Iterator[str]: ...\n"
    )
    with pytest.raises(SchemaError, match="line 3: Cog would ignore @streaming: write `from cog import streaming`"):
        schema.generate("Painter")


def test_predict_py_is_never_executed(predict: Callable[..., None]) -> None:
    predict(text="raise SystemExit('it ran')\n" + FILE.format(parameters="x: int", output="str"))
    assert schema.generate("Painter")["components"]["schemas"]["Input"]["required"] == ["x"]


def test_the_command_prints_the_schema_or_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([]) == 0
    assert json.loads(capsys.readouterr().out) == [schema.generate(name) for name in schema.class_names()]
    assert command.main(["TextGeneration"]) == 0
    assert json.loads(capsys.readouterr().out) == schema.generate("TextGeneration")
    assert command.main(["Sculptor"]) == 1
    assert capsys.readouterr() == (
        "",
        "predict.py has no class Sculptor with a run or predict method: it has "
        + f"{', '.join(schema.class_names())}\n",
    )


def test_the_server_finds_the_schema_in_its_working_folder(predict: Callable[..., None], tmp_path: Path) -> None:
    predict()
    path = schema.write_for_server("Painter")
    assert path == tmp_path / ".cog" / "openapi_schema.json"
    assert json.loads(path.read_text()) == schema.generate("Painter")
