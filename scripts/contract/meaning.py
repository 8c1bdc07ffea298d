"""The contract in a Cog schema, in one form whichever version of Cog wrote it.

Versions of Cog write the same contract differently: choices as an `allOf` with one `$ref`, or as an `enum` in place;
"may be null" as `nullable: true`, as an `anyOf` with null, or (with pydantic 1) not at all; an opaque type as `object`,
or without a type; the default of a choice (with pydantic 2, from 0.10) not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from scripts.contract.document import Node, parse

_MemberReader: TypeAlias = "Callable[[str, Node, bool], Member]"


class Limit(NamedTuple):
    """A bound of a number, a length or a count of items; `exclusive`: the bound itself is not allowed."""

    value: float
    exclusive: bool = False


@dataclass(frozen=True)
class Form:
    """One kind of value. `limits` and `rules`: by their JSON schema keywords; `values`: the values of a dict."""

    type: str
    format: str | None
    choices: list[Any] | None
    limits: dict[str, Limit]
    rules: dict[str, Any]
    items: Value | None
    members: dict[str, Member]
    values: Value | None
    array_type: str | None
    array_display: str | None


@dataclass(frozen=True)
class Value:
    """Everything that a value may be: one form, or several for a union."""

    forms: list[Form]
    nullable: bool


@dataclass(frozen=True)
class Member:
    """An input, or a field of an object. `unknown_default`: it is optional, but the schema does not say its default."""

    value: Value
    required: bool
    default: Any
    unknown_default: bool
    description: str
    title: str
    deprecated: bool
    order: int | None


@dataclass(frozen=True)
class Contract:
    """What callers can rely on; `streams`: the server sends the output in pieces, as server-sent events."""

    inputs: dict[str, Member]
    output: Value
    streams: bool


def read(document: Any) -> Contract:
    """The contract in an OpenAPI document of Cog.

    Raises:
        ContractError: it is not such a document.
    """
    given, returned, streams = parse(document)
    inputs = {name: _input(name, node, name in given.required) for name, node in given.properties.items()}
    return Contract(inputs, _value(returned, _field), streams)


def undescribed(document: dict[str, Any]) -> list[str]:
    """The inputs that have no description, by name."""
    return [name for name, member in read(document).inputs.items() if not member.description.strip()]


def _input(name: str, node: Node, required: bool) -> Member:
    """An optional input without a default is null if it is left out, whether or not the schema says so."""
    value = _value(node, _input)
    has_choices = any(form.choices for form in value.forms)
    is_silent = not required and not value.nullable and "default" not in node.model_fields_set
    unknown_default = is_silent and has_choices
    nullable = value.nullable or (not required and node.default is None and not unknown_default)
    return _member(
        name, node, Value(value.forms, nullable), required, None if required else node.default, unknown_default
    )


def _field(name: str, node: Node, required: bool) -> Member:
    """A field of an output. One that may be missing counts as nullable: readers must handle both in the same way."""
    value = _value(node, _field)
    return _member(name, node, Value(value.forms, value.nullable or not required), True, None, False)


def _member(name: str, node: Node, value: Value, required: bool, default: Any, unknown_default: bool) -> Member:
    described = node if node.any_of else node.alternatives()[0]
    is_made_from_name = node.title.replace(" ", "").lower() == name.replace("_", "").lower()
    title = "" if is_made_from_name else node.title
    return Member(value, required, default, unknown_default, described.description, title, node.deprecated, node.order)


def _value(node: Node, member: _MemberReader) -> Value:
    """Everything that a node allows; `member` reads the members of its objects."""
    alternatives = node.alternatives()
    nullable = any(one.type == "null" or one.nullable or None in (one.enum or []) for one in alternatives)
    return Value([_form(one, member) for one in alternatives if one.type != "null"], nullable)


def _form(node: Node, member: _MemberReader) -> Form:
    kind = str(node.type)
    choices = node.enum if node.const is None else [node.const]
    rules = {
        "pattern": node.pattern,
        "multipleOf": node.multiple_of,
        "uniqueItems": node.unique_items,
        "x-cog-accept": node.accept,
    }
    values = node.additional_properties
    holds = values if isinstance(values, Node) and values.model_fields_set else None
    return Form(
        type=kind,
        format=node.format,
        choices=None if choices is None else [choice for choice in choices if choice is not None],
        limits=_limits(node),
        rules={keyword: rule for keyword, rule in rules.items() if rule},
        items=_value(node.items or Node(), member) if kind == "array" else None,
        members={name: member(name, part, name in node.required) for name, part in node.properties.items()},
        values=_value(holds, member) if holds else None,
        array_type=node.array_type,
        array_display=node.array_display,
    )


def _limits(node: Node) -> dict[str, Limit]:
    limits = {
        "minimum": _bound(node, node.minimum, node.exclusive_minimum, step=1),
        "maximum": _bound(node, node.maximum, node.exclusive_maximum, step=-1),
        "minLength": _bound(node, node.min_length, None, step=1),
        "maxLength": _bound(node, node.max_length, None, step=-1),
        "minItems": _bound(node, node.min_items, None, step=1),
        "maxItems": _bound(node, node.max_items, None, step=-1),
    }
    return {keyword: limit for keyword, limit in limits.items() if limit}


def _bound(node: Node, value: float | None, exclusive: bool | float | None, step: int) -> Limit | None:
    """A bound of OpenAPI 3.0 (`exclusive` is a flag) or 3.1 (it is a bound itself); `step` points inwards."""
    limits = [] if value is None else [Limit(value, exclusive is True)]
    if exclusive is not None and not isinstance(exclusive, bool):
        limits.append(Limit(exclusive, True))
    if not limits:
        return None
    tightest = max(limits, key=lambda limit: (step * limit.value, limit.exclusive))
    if tightest.exclusive and node.type == "integer" and float(tightest.value).is_integer():
        return Limit(tightest.value + step)
    return tightest
