"""Differences between two contracts as text: what changed, what to do instead, and the report of all of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scripts.contract.meaning import Form, Limit, Value

Kind = Literal["breaking", "compatible", "cosmetic"]
_VERSION_PARTS: dict[Kind, str] = {"breaking": "major", "compatible": "minor", "cosmetic": "patch"}
_HEADINGS: dict[Kind, str] = {
    "breaking": "Breaking: callers that work today would fail, or get something else.",
    "compatible": "Compatible: callers that work today go on as before.",
    "cosmetic": "Cosmetic: only what people read changes.",
}
REMEDIES_OF_INPUT = {
    "removed": "keep {name} in the signature with deprecated=True, and ignore it in the code until callers have moved",
    "renamed": "keep the old name with deprecated=True, and add the new one beside it, optional",
    "required": "give {name} a default, so that requests without it still work",
    "type": "keep the old type, and add an input of the new type beside it, optional",
    "format": "keep the old type, and add an input of the new type beside it, optional",
    "nullable": "keep `| None`, and let None mean the default",
    "limit": "keep the old limit in the signature, and clamp values to the new one in the code",
    "rule": "keep the rule, and correct values that the code cannot use in the code",
    "choices": "keep the old choices, and map each one to the nearest new one in the code",
    "default": "keep the old default: callers who want the new value can send it",
}
_BESIDE = "keep this output, and serve the new one beside it: as a class, and so a model, of its own"
REMEDIES_OF_OUTPUT = {
    "removed": "keep the field, and fill it as before",
    "renamed": "fill the old field too, beside the new one",
    "type": _BESIDE,
    "format": _BESIDE,
    "nullable": "always return a value, an empty one if there is none",
    "limit": "clamp the value to the old limits in the code",
    "rule": "return values that follow the old rule",
    "choices": "return one of the old values here, and the new ones in a field beside it",
    "array_type": "yield the pieces again: an iterator as the return type",
    "array_display": "keep the kind of iterator: clients show a ConcatenateIterator as one text, an Iterator as a list",
    "streams": "put @streaming back above predict",
}
LABELS = {
    "minimum": "the smallest value",
    "maximum": "the largest value",
    "minLength": "the smallest length",
    "maxLength": "the largest length",
    "minItems": "the fewest items",
    "maxItems": "the most items",
    "pattern": "the pattern",
    "x-cog-accept": "the kind of file",
}


@dataclass(frozen=True)
class Difference:
    """One change. `path`: where, like input.temperature.maximum; `remedy`: what to do instead of a breaking change."""

    path: str
    kind: Kind
    what: str
    remedy: str = ""


def summary(differences: list[Difference]) -> str:
    """One line: the part of the version number to increase, and the number of differences of each kind."""
    kinds = [difference.kind for difference in differences]
    counts = [f"{kinds.count(kind)} {kind}" for kind in _VERSION_PARTS if kind in kinds]
    part = next((part for kind, part in _VERSION_PARTS.items() if kind in kinds), "")
    return f"{part}: {', '.join(counts)}" if part else "no change"


def report(differences: list[Difference], undescribed: Sequence[str] = ()) -> str:
    """The report for people: breaking differences first, each with its place, the change and the remedy.

    `undescribed`: the inputs of the new version without a description.
    """
    lines = [summary(differences)]
    for kind, heading in _HEADINGS.items():
        those = [difference for difference in differences if difference.kind == kind]
        lines += ["", heading] if those else []
        for difference in those:
            lines.append(f"  {difference.path}: {difference.what}")
            lines += [f"    instead: {difference.remedy}"] if difference.remedy else []
    if undescribed:
        lines += ["", f"Without a description, which callers read: {', '.join(undescribed)}"]
    if lines[0].startswith("major"):
        lines += ["", 'To release it anyway, as a new major version: make push TO=... BREAKING="why"']
    return "\n".join(lines)


def type_name(value: Value) -> str:
    """The type in words, such as "integer or array of string"."""

    def name(form: Form) -> str:
        inner = form.items or form.values
        return form.type + (f" of {type_name(inner)}" if inner else "") + (f" ({form.format})" if form.format else "")

    return " or ".join(name(form) for form in value.forms)


def was(label: str, old: str | None, new: str | None) -> str:
    """The text "LABEL was OLD, is NEW"; None becomes "not set"."""
    return f"{label} was {old or 'not set'}, is {new or 'not set'}"


def bound(limit: Limit) -> str:
    """A limit's number as text."""
    value = int(limit.value) if float(limit.value).is_integer() else limit.value
    return f"{value} (exclusive)" if limit.exclusive else str(value)


def listed(choices: list[Any] | None) -> str | None:
    """The choices as JSON; None if there are none."""
    return None if choices is None else ", ".join(show(choice) for choice in choices)


def show(value: Any) -> str:
    """A value as JSON, cut at 100 characters."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:99]}…"
