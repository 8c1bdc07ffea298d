"""The contract check: typical changes of predict.py, one at a time; each is found and classified."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.manifest import PROJECT
from scripts.contract import __main__ as command
from scripts.contract import schema
from scripts.contract.comparison import compare
from scripts.contract.difference import report, summary
from scripts.contract.meaning import undescribed
from tests.schemas import cog
from tests.template.scripts.contract.contracts import (
    ANSWER,
    INPUTS,
    OUTPUTS,
    SIZE,
    TEXT,
    UNIONS,
    edited,
    found,
)

Write = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(("old", "new", "kind", "path"), INPUTS.values(), ids=INPUTS)
def test_each_change_of_an_input_is_found_and_has_a_remedy_if_it_breaks(
    written: Write, old: str, new: str, kind: str, path: str
) -> None:
    (one,) = compare(written(old), written(new))
    assert (one.kind, one.path, bool(one.remedy)) == (kind, path, kind == "breaking")


@pytest.mark.parametrize(("old", "new", "kind", "path"), OUTPUTS.values(), ids=OUTPUTS)
def test_each_change_of_the_output_is_found_and_has_a_remedy_if_it_breaks(
    written: Write, old: str, new: str, kind: str, path: str
) -> None:
    (one,) = compare(written(output=old), written(output=new))
    assert (one.kind, one.path, bool(one.remedy)) == (kind, path, kind == "breaking")


@pytest.mark.parametrize(("old", "new", "kind"), [("@streaming", "", "breaking"), ("", "@streaming", "compatible")])
def test_removing_the_event_stream_is_breaking(written: Write, old: str, new: str, kind: str) -> None:
    schemas = [written(output="Iterator[str]", decorator=decorator) for decorator in (old, new)]
    assert found(*schemas) == [(kind, "output.x-cog-streaming")]


@pytest.mark.parametrize(
    ("edit", "kind", "path"),
    [
        (lambda answer: answer.pop("score"), "breaking", "output.score"),
        (lambda answer: answer.update(length={"type": "integer"}), "compatible", "output.length"),
        (lambda answer: answer.update(message=answer.pop("text") | {"title": "Message"}), "breaking", "output.text"),
        (lambda answer: answer["text"].update(type="integer"), "breaking", "output.text.type"),
        (lambda answer: answer["text"].update(format="uri"), "breaking", "output.text.format"),
        (lambda answer: answer["text"].update(nullable=True), "breaking", "output.text.nullable"),
        (lambda answer: answer["text"].update(maxLength=9), "compatible", "output.text.maxLength"),
        (lambda answer: answer["tone"]["enum"].append("dry"), "breaking", "output.tone.enum"),
        (lambda answer: answer["tone"]["enum"].remove("cold"), "compatible", "output.tone.enum"),
        (lambda answer: answer["tone"].pop("enum"), "breaking", "output.tone.enum"),
        (lambda answer: answer["tone"]["enum"].reverse(), "cosmetic", "output.tone.enum"),
        (lambda answer: answer["tone"].update(title="The tone"), "cosmetic", "output.tone.title"),
    ],
)
def test_each_change_of_an_outputs_field_is_found(edit: Callable[[dict[str, Any]], Any], kind: str, path: str) -> None:
    assert found(*edited(edit)) == [(kind, path)]


def test_making_an_output_field_required_is_compatible_and_the_reverse_is_breaking() -> None:
    always = copy.deepcopy(ANSWER) | {"required": ["text", "tone", "score"]}
    always["properties"]["score"].pop("nullable")
    assert found(cog({}, ANSWER), cog({}, always)) == [("compatible", "output.score.nullable")]
    assert found(cog({}, always), cog({}, ANSWER)) == [("breaking", "output.score.nullable")]


@pytest.mark.parametrize(
    ("parameters", "output"),
    [
        *((f"x: {kind}", "str") for kind in UNIONS),
        *((text, "str") for change in INPUTS.values() for text in change[:2]),
        *(("x: int", text) for change in OUTPUTS.values() for text in change[:2]),
    ],
)
def test_a_schema_does_not_differ_from_itself(written: Write, parameters: str, output: str) -> None:
    one = written(parameters, output)
    shuffled = json.loads(json.dumps(one, sort_keys=True))
    assert compare(one, shuffled) == compare(shuffled, one) == []


def test_the_servers_version_and_slots_are_not_part_of_the_contract(written: Write) -> None:
    old, new = written(), written(decorator="@concurrent(max=4)")
    new["info"]["version"] = "9.9.9"
    assert compare(old, new) == []


def test_an_input_without_a_description_is_reported(written: Write) -> None:
    new = written('x: int, y: int = Input(description="How many"), z: str = Input(description="  ")')
    assert undescribed(new) == ["x", "z"]
    assert report([], undescribed(new)) == ("no change\n\nWithout a description, which callers read: x, z")


HARMLESS = [
    *((f"x: {kind}", f"x: {kind} | float") for kind in UNIONS),
    ("x: list[int]", "x: list[int] | list[str]"),
    ("x: int", "y: str | None = None, x: int = 1"),
    ("x: int = Input(ge=1, le=5)", "x: float = Input(ge=0, le=5.5)"),
    ('x: str = Input(regex="^a", min_length=1, max_length=3)', "x: str | None = None"),
    (SIZE, SIZE.replace('["small", "large"]', '["huge", "large", "small"]')),
    (SIZE, 'x: str = Input(default="small", description="How big", deprecated=True)'),
    ("x: list[int] | None", "x: list[float] | None = None"),
    ("x: int | None", "x: int | None = None"),
    ("x: Optional[int]", "x: int | None"),
    ("x: int = Input(default=2)", "x: int = 2"),
    ("x: float = 2", "x: float = 2.0"),
    ("x: int, y: int, z: int", 'z: int, y: int, x: int = Input(description="How many")'),
]


@pytest.mark.parametrize(("old", "new"), HARMLESS)
def test_harmless_changes_are_compatible(written: Write, old: str, new: str) -> None:
    assert not {kind for kind, _ in found(written(old), written(new))} & {"breaking"}


def test_an_input_inserted_between_others_is_compatible(written: Write) -> None:
    assert found(written("x: int, z: int"), written("x: int, y: str | None, z: int")) == [("compatible", "input.y")]


def test_a_renamed_input_is_compared_with_its_old_self(written: Write) -> None:
    new = TEXT.replace("t:", "temperature:").replace("le=5", "le=2").replace("How varied", "How very varied")
    assert found(written(TEXT), written(new)) == [
        ("breaking", "input.t"),
        ("breaking", "input.temperature.maximum"),
        ("cosmetic", "input.temperature.description"),
    ]


def test_an_input_of_another_type_is_not_taken_for_a_renamed_one(written: Write) -> None:
    removed, added = compare(written("x: int, n: int = 4"), written("x: int, style: str = ''"))
    assert (removed.path, added.path) == ("input.n", "input.style")
    assert removed.what.startswith("removed:")


def test_a_report_names_every_difference_and_its_remedy(written: Write) -> None:
    old = written(TEXT + ", seed: int | None = None, size: int = Input(default=1, le=9)")
    new = written(
        'x: str, temperature: float = Input(description="How varied the text is", default=0.7, ge=0, le=5), '
        'size: int = Input(default=2, le=4, description="How big"), steps: int = 25'
    )
    differences = compare(old, new)
    assert summary(differences) == "major: 4 breaking, 1 compatible, 1 cosmetic"
    assert report(differences) == (
        """major: 4 breaking, 1 compatible, 1 cosmetic

Breaking: callers that work today would fail, or get something else.
  input.t: renamed to temperature: Cog silently drops the old one from a request
    instead: keep the old name with deprecated=True, and add the new one beside it, optional
  input.seed: removed: Cog silently drops the old one from a request
    instead: keep seed in the signature with deprecated=True, and ignore it in the code until callers have moved
  input.size.maximum: the largest value was 9, is 4
    instead: keep the old limit in the signature, and clamp values to the new one in the code
  input.size.default: the default was 1, is 2: other results if it is left out
    instead: keep the old default: callers who want the new value can send it

Compatible: callers that work today go on as before.
  input.steps: added, optional: 25 if it is left out

Cosmetic: only what people read changes.
  input.size.description: the description was "", is "How big"

To release it anyway, as a new major version: make push TO=... BREAKING="why\""""
    )


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("x: int", "x: int, y: int = 1", "minor: 1 compatible"),
        ("x: int, y: int", "y: int, x: int", "patch: 1 cosmetic"),
        ("x: int", "x: int", "no change"),
    ],
)
def test_the_part_of_the_version_that_grows_is_named(written: Write, old: str, new: str, line: str) -> None:
    differences = compare(written(old), written(new))
    assert summary(differences) == line
    assert report(differences).startswith(line)
    assert "BREAKING" not in report(differences)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., str]:
    """A file with this schema, or this text."""

    def save(name: str, content: Any) -> str:
        (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
        return str(tmp_path / name)

    return save


def test_the_command_fails_on_a_breaking_change(
    saved: Callable[..., str], written: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = saved("old.json", written("x: int")), saved("new.json", written("x: int, y: int = 1"))
    assert command.main([old, new]) == 0
    assert capsys.readouterr().out.startswith("minor: 1 compatible\n")
    assert command.main([new, old]) == 1
    assert capsys.readouterr().out.startswith("major: 1 breaking\n")


def test_the_command_compares_with_predict_py_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([str(PROJECT / "schemas/TextGeneration.json")]) == 0
    assert capsys.readouterr().out == "no change\n"


def test_the_command_reports_what_is_wrong_with_a_file(
    saved: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = saved("good.json", cog({}))
    wrong = {
        str(tmp_path / "gone.json"): "cannot read .*gone.json: No such file",
        saved("torn.json", "{"): "torn.json is not JSON: .*line 1",
        saved("other.json", {"a": 1}): "other.json is not the schema of a Cog model: components: Field required",
    }
    for path, message in wrong.items():
        assert command.main([path, good]) == command.main([good, path]) == 2
        assert re.search(message, capsys.readouterr().err)
    assert command.main([]) == 2
    assert "python -m scripts.contract --help" in capsys.readouterr().err


def test_the_command_asks_for_the_class_if_it_is_ambiguous(
    saved: Callable[..., str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(schema, "class_names", lambda: ["TextGeneration", "Painter"])
    same = saved("TextGeneration.json", schema.generate("TextGeneration"))
    assert command.main([same]) == 0
    assert command.main([saved("old.json", cog({}))]) == 2
    assert "which class? predict.py has TextGeneration, Painter" in capsys.readouterr().err
