"""The form on the page: a component for each input, the inputs that are sent, and the form of an output."""

from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from models import manifest
from scripts.hub.space import facts
from scripts.hub.space.demo.facts import Example, Facts
from scripts.hub.space.demo.inputs import InputError, collect, component, main_fields, shown_for
from tests.template.scripts.contract.contracts import write

COMPONENTS = {
    "x: str": gr.Textbox,
    "x: int = Input(default=3, ge=1, le=10)": gr.Slider,
    "x: float = Input(default=0.5, ge=0, le=1)": gr.Slider,
    "x: int = Input(default=3, ge=1, le=100000)": gr.Number,
    "x: int": gr.Number,
    "x: float | None = Input(default=None, ge=0, le=1)": gr.Textbox,
    "x: bool = False": gr.Checkbox,
    "x: bool | None = None": gr.Dropdown,
    'x: str = Input(choices=["small", "large"], default="small")': gr.Dropdown,
    "x: dict": gr.Textbox,
    "x: list[str]": gr.Textbox,
    "x: Secret": gr.Textbox,
    "image: Path": gr.Image,
    "voice: Path": gr.Audio,
    "clip: Path": gr.Video,
    "x: Path": gr.File,
    "x: list[Path]": gr.File,
}
# The input's declaration, the value of its component, and the value that is sent; None: nothing is sent.
SENT: list[tuple[str, Any, Any]] = [
    ("x: str", "Hi", "Hi"),
    ("x: str | None = None", "", None),
    ('x: str = "a"', "", ""),
    ('x: str = "a"', "a", None),
    ("x: int | None = None", "3", 3),
    ("x: float | None = None", "0", 0),
    ("x: int = 1", 5.0, 5),
    ("x: bool = False", True, True),
    ("x: bool | None = None", False, False),
    ("x: list[str] | None = None", "a\n b\n\n", ["a", " b"]),
    ("x: list[str] | None = None", '["a\\nb"]', ["a\nb"]),
    ("x: list[int] | None = None", "[1, 2]", [1, 2]),
    ("x: dict | None = None", '{"a": null}', {"a": None}),
    ("x: Path", "/tmp/cat.png", "/tmp/cat.png"),
    ("x: list[Path] | None = None", ["/tmp/a", "/tmp/b"], ["/tmp/a", "/tmp/b"]),
]
REFUSED = [
    ("x: str", "", "x is missing"),
    ("x: Path", None, "x is missing"),
    ("x: int | None = None", "many", "x is not a number: many"),
    ("x: float | None = None", "nan", "x is not a number: nan"),
    ("x: dict | None = None", "{a", "x is not JSON"),
]
DISPLAYS = {
    "str": "text",
    "AsyncConcatenateIterator[str]": "text",
    "Path": "files",
    "list[Path]": "files",
    "dict[str, float]": "labels",
    "dict": "json",
    "list[float]": "json",
    "list[list[float]]": "json",
    "int": "json",
}


def _facts(folder: Path, parameters: str = "x: str", output: str = "str") -> Facts:
    return facts.described(manifest.selected(), "http://127.0.0.1:1", write(folder, parameters, output))


@pytest.mark.parametrize("parameter", sorted(COMPONENTS))
def test_an_input_has_the_component_of_its_type(tmp_path: Path, parameter: str):
    (field,) = _facts(tmp_path, parameter).fields
    made = component(field, is_main=True)
    assert type(made) is COMPONENTS[parameter]
    if isinstance(made, gr.Slider):
        assert (made.minimum, made.maximum) == field.bounds
    if isinstance(made, gr.Textbox):
        assert (made.type == "password") == ("Secret" in parameter)


@pytest.mark.parametrize(("parameter", "shown", "sent"), SENT, ids=str)
def test_the_values_shown_in_the_form_are_sent(tmp_path: Path, parameter: str, shown: Any, sent: Any):
    fields = _facts(tmp_path, parameter).fields
    assert collect(fields, [shown]) == ({} if sent is None else {"x": sent})
    if sent is not None:
        assert collect(fields, shown_for(fields, {"x": sent})) == {"x": sent}


@pytest.mark.parametrize(("parameter", "shown", "message"), REFUSED, ids=str)
def test_an_input_that_cannot_be_sent_is_refused_by_name(tmp_path: Path, parameter: str, shown: Any, message: str):
    with pytest.raises(InputError, match=message):
        collect(_facts(tmp_path, parameter).fields, [shown])


def test_required_inputs_are_first(tmp_path: Path):
    fields = _facts(tmp_path, "a: int = 1, b: str = '', c: str = Input(), d: list[str] = [], e: int = 2").fields
    examples = [Example(name="", input={"c": "", "d": [], "e": 3}), Example(name="", input={"c": "", "d": []})]
    assert [field.name for field in main_fields(fields, [])] == ["a", "c"]
    assert [field.name for field in main_fields(fields, examples)] == ["a", "c", "d"]


@pytest.mark.parametrize("output", sorted(DISPLAYS))
def test_an_output_is_shown_by_its_form(tmp_path: Path, output: str):
    assert _facts(tmp_path, output=output).display == DISPLAYS[output]
