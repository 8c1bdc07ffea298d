"""The contract check reads the schemas of several versions of Cog, and refuses other files."""

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest

from scripts.contract.comparison import compare
from scripts.contract.document import ContractError
from tests.schemas import cog
from tests.template.scripts.contract.contracts import ANSWER, found

Write = Callable[..., dict[str, Any]]


NUMBER_OR_TEXT = {"anyOf": [{"type": "number"}, {"type": "string"}]}


def of_x(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A schema with the input x, by default a number."""
    kind = {} if schema.keys() & {"anyOf", "allOf"} else {"type": "number"}
    return cog({"x": kind | {"title": "X", "x-order": 0} | schema}, **more)


@pytest.mark.parametrize(
    ("old", "new", "kind", "path"),
    [
        ({"minimum": 0}, {"exclusiveMinimum": 0}, "breaking", "minimum"),
        ({"minimum": 0, "exclusiveMinimum": True}, {"minimum": 0}, "compatible", "minimum"),
        ({"exclusiveMaximum": 5}, {"exclusiveMaximum": 4}, "breaking", "maximum"),
        ({"maximum": 5, "exclusiveMaximum": True}, {"maximum": 5}, "compatible", "maximum"),
        ({}, {"multipleOf": 8}, "breaking", "multipleOf"),
        ({"type": "number"}, NUMBER_OR_TEXT, "compatible", "type"),
        (NUMBER_OR_TEXT, {"type": "number"}, "breaking", "type"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, {"type": "object"}, "compatible", "values"),
    ],
)
def test_schema_forms_that_cog_does_not_write_yet_are_understood(
    old: dict[str, Any], new: dict[str, Any], kind: str, path: str
) -> None:
    path = path.replace("values", "additionalProperties")
    assert found(of_x(old), of_x(new)) == [(kind, f"input.x.{path}")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"minimum": 0, "exclusiveMinimum": True}, {"exclusiveMinimum": 0}),
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}),
        ({"default": 1}, {"default": 1.0}),
        ({"maximum": 5}, {"maximum": 5.0}),
        ({"title": "x"}, {}),
        ({"nullable": True, "default": None}, {"anyOf": [{"type": "number"}, {"type": "null"}]}),
        ({"nullable": True, "default": None}, {"type": ["number", "null"]}),
        ({"type": "object"}, {"type": "object", "additionalProperties": True}),
        ({"type": "array", "items": {}}, {"type": "array", "items": {"type": "object"}}),
        ({"type": "string", "format": "password"}, {"type": "string", "format": "password", "x-cog-secret": True}),
        ({"type": "string", "enum": ["a"]}, {"allOf": [{"$ref": "#/components/schemas/x"}]}),
        ({"type": "string", "enum": ["a", None]}, {"type": "string", "const": "a", "nullable": True}),
    ],
)
def test_two_notations_with_the_same_meaning_do_not_differ(old: dict[str, Any], new: dict[str, Any]) -> None:
    x = {"title": "x", "description": "An enumeration.", "enum": ["a"], "type": "string"}
    before, now = of_x(old, x=x), of_x(new, x=x)
    assert compare(before, now) == compare(now, before) == []


# predict(prompt: str, size: str = "small" of choices, seed: int | None, image: Path | None, steps: int = 25), a list of
# str that is an Iterator, as three versions of Cog wrote it.
PARAMETERS = """prompt: str = Input(description="What to paint"),
    size: str = Input(description="How big", choices=["small", "large"], default="small"),
    seed: int | None = Input(default=None), image: Path | None = Input(default=None),
    steps: int = Input(default=25, ge=1, le=50)"""
PROMPT = {"title": "Prompt", "type": "string", "description": "What to paint", "x-order": 0}
STEPS = {"title": "Steps", "type": "integer", "minimum": 1, "maximum": 50, "default": 25, "x-order": 4}
SIZES = {"title": "size", "description": "An enumeration.", "enum": ["small", "large"], "type": "string"}
TEXTS = {"title": "Output", "type": "array", "items": {"type": "string"}, "x-cog-array-type": "iterator"}
REFERENCE = [{"$ref": "#/components/schemas/size"}]
SEED, IMAGE = {"title": "Seed", "type": "integer", "x-order": 2}, {"title": "Image", "type": "string", "x-order": 3}
IMAGE["format"] = "uri"
OPTIONAL = {"title": "Seed", "anyOf": [{"type": "integer"}, {"type": "null"}], "x-order": 2}

VERSIONS = {
    # pydantic 1: no word of null, and none of a default of None.
    "0.9": cog(
        {
            "prompt": PROMPT,
            "size": {"allOf": REFERENCE, "description": "How big", "default": "small", "x-order": 1},
            "seed": SEED,
            "image": IMAGE,
            "steps": STEPS,
        },
        TEXTS,
        ("prompt",),
        size=SIZES,
        WebhookEvent={"title": "WebhookEvent", "enum": ["start", "output"], "type": "string"},
    ),
    # pydantic 2: its choices lost their default, and their description went into the enumeration.
    "0.14": cog(
        {
            "prompt": PROMPT,
            "size": {"allOf": REFERENCE, "x-order": 1},
            "seed": SEED | {"nullable": True},
            "image": IMAGE | {"nullable": True},
            "steps": STEPS,
        },
        TEXTS,
        ("prompt",),
        size=SIZES | {"description": "How big"},
    ),
    # pydantic 2, as it comes.
    "raw": cog(
        {
            "prompt": PROMPT,
            "size": {"enum": ["small", "large"], "type": "string", "default": "small", "title": "Size", "x-order": 1}
            | {"description": "How big"},
            "seed": OPTIONAL | {"default": None},
            "image": {"anyOf": [{"type": "string", "format": "uri"}, {"type": "null"}], "default": None, "x-order": 3},
            "steps": STEPS,
        },
        {"$ref": "#/components/schemas/Texts"},
        ("prompt",),
        Texts=TEXTS | {"title": "Texts", "description": "A docstring."},
    ),
}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_same_class_built_with_another_cog_does_not_differ(written: Write, version: str) -> None:
    now = written(PARAMETERS, "Iterator[str]")
    assert compare(VERSIONS[version], now) == compare(now, VERSIONS[version]) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_change_across_versions_of_cog_is_found(written: Write, version: str) -> None:
    now = written(PARAMETERS.replace("le=50", "le=40").replace('"large"', '"huge"'), "list[str]")
    assert {(one.kind, one.path) for one in compare(VERSIONS[version], now)} == {
        ("breaking", "input.steps.maximum"),
        ("breaking", "input.size.enum"),
        ("compatible", "input.size.enum"),
        ("breaking", "output.x-cog-array-type"),
    }


def test_an_output_with_fields_is_the_same_in_every_cog() -> None:
    pydantic_1 = copy.deepcopy(ANSWER) | {"title": "Answer", "description": "What came out."}
    del pydantic_1["properties"]["score"]["nullable"]
    pydantic_1["properties"]["tone"] = {"$ref": "#/components/schemas/Tone"}
    tone = {"title": "Tone", "description": "An enumeration.", "enum": ["warm", "cold"], "type": "string"}
    old = cog({}, {"title": "Output", "allOf": [{"$ref": "#/components/schemas/Answer"}]}, Answer=pydantic_1, Tone=tone)
    assert compare(old, cog({}, ANSWER)) == compare(cog({}, ANSWER), old) == []


def test_a_recursive_type_ends() -> None:
    tree = {"type": "object", "properties": {"leaf": {"$ref": "#/components/schemas/Output"}}}
    assert compare(cog({}, tree), cog({}, {"type": "object", "properties": {"leaf": {}}})) == []


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "the document: Input should be a valid dictionary"),
        ({}, "components: Field required"),
        ({"components": {"schemas": {"Input": {}}}}, "it has no components.schemas.Output"),
        (cog({"x": {"minimum": "low"}}), "properties.x.minimum: Input should be a valid number"),
        (cog({"x": {"$ref": "#/components/schemas/Gone"}}), "it refers to #/components/schemas/Gone, which"),
    ],
)
def test_a_schema_other_than_cogs_is_refused_with_the_location(document: Any, message: str) -> None:
    with pytest.raises(ContractError, match=re.escape(message)):
        compare(document, cog({}))


def test_an_input_with_fields_is_reported_as_an_input() -> None:
    def box(required: tuple[str, ...], **sizes: Any) -> Any:
        return cog({"box": {"type": "object", "properties": sizes, "required": list(required)}}, required=("box",))

    old, new = box((), width={"type": "integer"}), box((), width={"type": "integer"}, depth={"type": "integer"})
    assert found(old, new) == [("compatible", "input.box.depth")]
    assert found(old, box(("width",), width={"type": "integer"}))[0] == ("breaking", "input.box.width.nullable")
    assert found(new, old) == [("breaking", "input.box.depth")]
