"""The words in which a difference is told."""

import json
from typing import Any

from scripts.contract.meaning import Form, Limit, Value

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


def type_name(value: Value) -> str:
    """In words: integer or array of string."""

    def name(form: Form) -> str:
        inner = form.items or form.values
        return form.type + (f" of {type_name(inner)}" if inner else "") + (f" ({form.format})" if form.format else "")

    return " or ".join(name(form) for form in value.forms)


def was(label: str, old: str | None, new: str | None) -> str:
    """What changed, from what, to what; None is said in words."""
    return f"{label} was {old or 'not set'}, is {new or 'not set'}"


def bound(limit: Limit) -> str:
    """A limit's number, as a person writes it."""
    value = int(limit.value) if float(limit.value).is_integer() else limit.value
    return f"{value} (itself left out)" if limit.exclusive else str(value)


def listed(choices: list[Any] | None) -> str | None:
    """The choices as JSON, or None for none at all."""
    return None if choices is None else ", ".join(show(choice) for choice in choices)


def show(value: Any) -> str:
    """A value as JSON, cut at 100 characters."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:99]}…"
