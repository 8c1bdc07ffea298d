"""Turns each input of the class into a component of the page, and the components' values into a prediction's inputs."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from .facts import Example, Field

_LONGEST_SLIDER = 1000  # steps; one with more cannot be set with a finger
_NOT_SET = "not set"
_MEDIA = {  # by the schema's media type, or else by a word in the input's name
    "image": ("image", "mask", "photo", "picture"),
    "audio": ("audio", "speech", "voice", "sound", "music"),
    "video": ("video", "movie", "clip"),
}


class InputError(ValueError):
    """An input cannot be sent; says which and why."""


def main_fields(fields: Sequence[Field], examples: Sequence[Example]) -> list[Field]:
    """The inputs that are shown first; the others are behind "More inputs".

    These are the very first input, required inputs, and texts, lists and files that most examples set.
    """

    def is_common(field: Field) -> bool:
        given = sum(field.name in example.input for example in examples)
        return field.kind in ("string", "array", "file") and not field.choices and 2 * given > len(examples)

    return [field for number, field in enumerate(fields) if number == 0 or field.is_required or is_common(field)]


def component(field: Field, is_main: bool) -> Any:
    """The component for an input, by its type and bounds. It starts empty if the input may be left out."""
    common = {"label": field.title, "elem_id": f"input-{field.name}", "min_width": 240}
    described = common | {"info": _info(field)}
    shown = to_shown(field, field.default)
    if field.choices:
        choices = [(_NOT_SET, None), *field.choices] if field.is_nullable else field.choices
        return gr.Dropdown(choices, value=shown, **described)
    if field.kind == "boolean":
        if field.is_nullable:
            return gr.Dropdown([(_NOT_SET, None), ("yes", True), ("no", False)], value=shown, **described)
        return gr.Checkbox(value=bool(shown), **described)
    if field.kind in ("integer", "number"):
        return _number(field, shown, described)
    if "file" in (field.kind, field.items):
        return _file(field, common)
    if field.kind == "secret":
        return gr.Textbox(type="password", value=shown, **described)
    placeholder = {"object": '{"name": "value"}', "any": '"text", 1 or any JSON', "array": "[1, 2, 3]"}.get(field.kind)
    if field.kind == "array" and field.items == "string":
        placeholder = "one per line"
    lines = 4 if is_main else 1
    return gr.Textbox(value=shown or "", lines=lines, max_lines=12, placeholder=placeholder, **described)


def collect(fields: Sequence[Field], values: Sequence[Any]) -> dict[str, Any]:
    """The inputs to send for the components' values; empty values and the schema's defaults are left out.

    A file is the path of the upload.

    Raises:
        InputError: a value is missing or is not JSON.
    """
    inputs = {}
    for field, shown in zip(fields, values, strict=True):
        value = _value(field, shown)
        if value is None and field.is_required:
            raise InputError(f"{field.name} is missing")
        if value is not None and (field.is_required or value != field.default):
            inputs[field.name] = value
    return inputs


def to_shown(field: Field, value: Any) -> Any:
    """What the component of `field` shows for the input `value`."""
    if value is None or field.choices or field.kind in ("integer", "number", "boolean", "file", "secret", "string"):
        return value
    if field.items == "file":
        return value
    if _is_lines(field, value):
        return "\n".join(value)
    return json.dumps(value, ensure_ascii=False, indent=2)


def shown_for(fields: Sequence[Field], example: Mapping[str, Any]) -> list[Any]:
    """What all components show for an example; inputs that it leaves out return to their default."""
    return [to_shown(field, example.get(field.name, field.default)) for field in fields]


def media_kind(media_type: str) -> str:
    """image, audio or video, else file."""
    kind = media_type.partition("/")[0]
    return kind if kind in _MEDIA else "file"


def _number(field: Field, shown: Any, described: dict[str, Any]) -> Any:
    """A slider or number box; a text box if it may be left out, because Gradio sends an empty Number as 0."""
    if field.is_nullable:
        return gr.Textbox(value=shown, placeholder="default", lines=1, **described)
    least, most = field.bounds
    is_whole = field.kind == "integer"
    step = 1.0 if is_whole or least is None or most is None else 10 ** math.floor(math.log10(most - least)) / 100
    if least is not None and most is not None and (most - least) / step <= _LONGEST_SLIDER:
        return gr.Slider(least, most, value=least if shown is None else shown, step=step, **described)
    return gr.Number(value=shown, precision=0 if is_whole else None, step=step, **described)


def _file(field: Field, common: dict[str, Any]) -> Any:
    """Gradio's file components do not show a description, so it is part of the label."""
    label = f"{field.title}: {_info(field)}" if _info(field) else field.title
    if field.kind == "array":
        return gr.File(file_count="multiple", **common | {"label": label})
    kind = media_kind(field.accept)
    if kind == "file":
        words = field.name.lower().split("_")
        kind = next((kind for kind, known in _MEDIA.items() if any(word in known for word in words)), "file")
    if kind == "image":
        return gr.Image(type="filepath", **common | {"label": label})
    if kind == "audio":
        return gr.Audio(type="filepath", **common | {"label": label})
    return gr.Video(**common | {"label": label}) if kind == "video" else gr.File(**common | {"label": label})


def _info(field: Field) -> str:
    least, most = field.bounds
    if least is not None and most is not None:
        bounds = f"From {least:g} to {most:,.10g}."
    elif least is not None or most is not None:
        bounds = f"At least {least:g}." if least is not None else f"At most {most:,.10g}."
    else:
        bounds = ""
    form = " As JSON." if field.kind in ("object", "any") or (field.kind == "array" and not _has_lines(field)) else ""
    return f"{field.description} {bounds}".strip() + form


def _has_lines(field: Field) -> bool:
    return field.kind == "array" and field.items in ("string", "file")


def _is_lines(field: Field, value: Any) -> bool:
    """Whether a list of texts can be written one per line and read back unchanged."""
    return (
        _has_lines(field)
        and bool(value)
        and value[0][:1] != "["
        and all(text.strip() and "\n" not in text for text in value)
    )


def _value(field: Field, shown: Any) -> Any:
    if shown is None or (shown == "" and (field.is_nullable or field.is_required or field.kind != "string")):
        return None
    if field.choices or field.kind in ("boolean", "string", "secret", "file"):
        return shown
    if field.kind in ("integer", "number"):
        return _as_number(field, shown)
    if field.items == "file":
        return list(shown) or None
    if _has_lines(field) and not shown.lstrip().startswith("["):
        return [line for line in shown.splitlines() if line.strip()] or None
    try:
        return json.loads(shown)
    except ValueError as error:
        if field.kind == "any":
            return shown
        raise InputError(f"{field.name} is not JSON: {error}") from error


def _as_number(field: Field, shown: Any) -> int | float:
    try:
        number = float(shown)
    except ValueError as error:
        raise InputError(f"{field.name} is not a number: {shown}") from error
    if not math.isfinite(number):
        raise InputError(f"{field.name} is not a number: {shown}")
    return int(number) if field.kind == "integer" and number.is_integer() else number
