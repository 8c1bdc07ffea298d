"""Schemas for the tests of the contract check, and the changes that people make to a predict.py."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.contract import schema
from scripts.contract.comparison import compare
from tests.schemas import cog

HEADER = '''from cog import AsyncConcatenateIterator, BasePredictor, Input, Iterator, Path, Secret
from cog import concurrent, streaming

class Painter(BasePredictor):
    {decorator}
    async def predict(self, {parameters}) -> {output}:
        """Paint."""
'''


def write(folder: Path, parameters: str = "x: int", output: str = "str", decorator: str = "") -> dict[str, Any]:
    """The schema of a predict.py with these parameters, output and decorator."""
    path = folder / "predict.py"
    path.write_text(HEADER.format(parameters=parameters, output=output, decorator=decorator))
    return schema.generate("Painter", path)


def found(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, str]]:
    """Kind and path of each difference."""
    return [(difference.kind, difference.path) for difference in compare(old, new)]


TEXT = 'x: str, t: float = Input(description="How varied the text is", default=0.7, ge=0, le=5)'
SIZE = 'x: str = Input(choices=["small", "large"], default="small")'

UNIONS = ["int | str", "str | list[str]", "list[int] | list[str]", "dict | list[dict]", "bool | int | None"]

# The old and the new code, the kind and the path of the difference. One change each.
INPUTS = {
    "removed": ("x: str, y: int = 1", "x: str", "breaking", "input.y"),
    "renamed": (TEXT, TEXT.replace("t:", "temperature:"), "breaking", "input.t"),
    "renamed in its place": ("x: int, n: int = 4", "x: int, steps: int = 4", "breaking", "input.n"),
    "added, optional": ("x: str", "x: str, y: int = 1", "compatible", "input.y"),
    "added, may be null": ("x: str", "x: str, y: int | None = None", "compatible", "input.y"),
    "added, required": ("x: str", "x: str, y: int", "breaking", "input.y"),
    "newly required": ("x: int = 1", "x: int", "breaking", "input.x.required"),
    "no longer required": ("x: int", "x: int = 1", "compatible", "input.x.required"),
    "another type": ("x: int", "x: str", "breaking", "input.x.type"),
    "int to float": ("x: int", "x: float", "compatible", "input.x.type"),
    "float to int": ("x: float", "x: int", "breaking", "input.x.type"),
    "one to a list": ("x: str", "x: list[str]", "breaking", "input.x.type"),
    "a list to one": ("x: list[str]", "x: str", "breaking", "input.x.type"),
    "one of a union": ("x: int | str", "x: str", "breaking", "input.x.type"),
    "one of two lists": ("x: list[int] | list[str]", "x: list[str]", "breaking", "input.x.type"),
    "another one of two lists": (
        "x: list[int] | list[str]",
        "x: list[str] | list[bool]",
        "breaking",
        "input.x.items.type",
    ),
    "items": ("x: list[int]", "x: list[str]", "breaking", "input.x.items.type"),
    "wider items": ("x: list[int]", "x: list[float]", "compatible", "input.x.items.type"),
    "items' format": ("x: list[str]", "x: list[Path]", "breaking", "input.x.items.format"),
    "text to file": ("x: str", "x: Path", "breaking", "input.x.format"),
    "file to text": ("x: Path", "x: str", "breaking", "input.x.format"),
    "text to secret": ("x: str", "x: Secret", "breaking", "input.x.format"),
    "secret to file": ("x: Secret", "x: Path", "breaking", "input.x.format"),
    "larger minimum": ("x: int = Input(ge=1)", "x: int = Input(ge=2)", "breaking", "input.x.minimum"),
    "smaller minimum": ("x: int = Input(ge=1)", "x: int = Input(ge=0)", "compatible", "input.x.minimum"),
    "added minimum": ("x: int", "x: int = Input(ge=2)", "breaking", "input.x.minimum"),
    "removed minimum": ("x: int = Input(ge=2)", "x: int", "compatible", "input.x.minimum"),
    "smaller maximum": ("x: float = Input(le=5)", "x: float = Input(le=2.5)", "breaking", "input.x.maximum"),
    "larger maximum": ("x: float = Input(le=5)", "x: float = Input(le=5.5)", "compatible", "input.x.maximum"),
    "added maximum": ("x: int", "x: int = Input(le=0)", "breaking", "input.x.maximum"),
    "removed maximum": ("x: int = Input(le=0)", "x: int", "compatible", "input.x.maximum"),
    "longer minimum": ("x: str", "x: str = Input(min_length=1)", "breaking", "input.x.minLength"),
    "shorter minimum": (
        "x: str = Input(min_length=2)",
        "x: str = Input(min_length=1)",
        "compatible",
        "input.x.minLength",
    ),
    "shorter maximum": (
        "x: str = Input(max_length=9)",
        "x: str = Input(max_length=8)",
        "breaking",
        "input.x.maxLength",
    ),
    "no maximum": ("x: str = Input(max_length=9)", "x: str", "compatible", "input.x.maxLength"),
    "added pattern": ("x: str", 'x: str = Input(regex="^a")', "breaking", "input.x.pattern"),
    "another pattern": ('x: str = Input(regex="^b")', 'x: str = Input(regex="^a")', "breaking", "input.x.pattern"),
    "removed pattern": ('x: str = Input(regex="^a")', "x: str", "compatible", "input.x.pattern"),
    "another file": ("x: Path", 'x: Path = Input(accept="image/*")', "breaking", "input.x.x-cog-accept"),
    "a choice less": (SIZE, SIZE.replace(', "large"', ""), "breaking", "input.x.enum"),
    "a choice more": (SIZE, SIZE.replace('"large"', '"large", "huge"'), "compatible", "input.x.enum"),
    "choices reordered": (SIZE, SIZE.replace('"small", "large"', '"large", "small"'), "cosmetic", "input.x.enum"),
    "only some now": ("x: int", "x: int = Input(choices=[1, 2])", "breaking", "input.x.enum"),
    "any now": ("x: int = Input(choices=[1, 2])", "x: int", "compatible", "input.x.enum"),
    "another default": ("x: int = 1", "x: int = 2", "breaking", "input.x.default"),
    "the default was null": ("x: int | None = None", "x: int | None = 2", "breaking", "input.x.default"),
    "null no longer": ("x: int | None = 1", "x: int = 1", "breaking", "input.x.nullable"),
    "null too": ("x: int = 1", "x: int | None = 1", "compatible", "input.x.nullable"),
    "deprecated": ("x: int", "x: int = Input(deprecated=True)", "compatible", "input.x.deprecated"),
    "described": ("x: int", 'x: int = Input(description="How many")', "cosmetic", "input.x.description"),
    "moved": ("x: int, y: str", "y: str, x: int", "cosmetic", "input.x-order"),
}
OUTPUTS = {
    "another type": ("str", "int", "breaking", "output.type"),
    "int to float": ("int", "float", "breaking", "output.type"),
    "float to int": ("float", "int", "compatible", "output.type"),
    "one to a list": ("str", "list[str]", "breaking", "output.type"),
    "a stream to one": ("AsyncConcatenateIterator[str]", "str", "breaking", "output.type"),
    "items": ("list[int]", "list[str]", "breaking", "output.items.type"),
    "text to file": ("str", "Path", "breaking", "output.format"),
    "file to text": ("Path", "str", "breaking", "output.format"),
    "piece by piece no longer": ("Iterator[str]", "list[str]", "breaking", "output.x-cog-array-type"),
    "piece by piece now": ("list[str]", "Iterator[str]", "compatible", "output.x-cog-array-type"),
    "shown as one text": ("Iterator[str]", "ConcatenateIterator[str]", "breaking", "output.x-cog-array-display"),
    "shown as a list": ("ConcatenateIterator[str]", "Iterator[str]", "breaking", "output.x-cog-array-display"),
}

# An output with fields, as Cog 0.22 writes a BaseModel: a text and an optional score.
ANSWER = {
    "title": "Output",
    "type": "object",
    "properties": {
        "text": {"title": "Text", "type": "string"},
        "score": {"title": "Score", "type": "number", "nullable": True},
        "tone": {"title": "Tone", "type": "string", "enum": ["warm", "cold"]},
    },
    "required": ["text", "tone"],
}


def edited(edit: Callable[[dict[str, Any]], Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema with ANSWER, before and after an edit of its fields."""
    answer = copy.deepcopy(ANSWER)
    edit(answer["properties"])
    answer["required"] = [name for name in answer["properties"] if name != "score"]
    return cog({}, ANSWER), cog({}, answer)
