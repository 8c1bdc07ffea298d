"""What counts as a literal in Cog, the value that Cog reads from it, and where Python would read another one.

Source: Cog 0.22, pkg/schema/python/literals.go and pkg/schema/types.go (ToJSON).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from tree_sitter import Node

from scripts.contract.cog_reader.syntax import field, shown, text

Literal: TypeAlias = "bool | int | float | str | list[Any] | Set | Pairs | None"

_QUOTES = ("'", '"', "r'", 'r"')
_CONTAINERS = ("list", "tuple", "set", "dictionary", "pair")


class NoLiteral(Exception):
    """An expression whose value Cog does not know."""


@dataclass(frozen=True)
class Set:
    """The members of a set, in the order of the source."""

    members: list[Literal]


@dataclass(frozen=True)
class Pairs:
    """A dict: its keys and its values, in the order of the source."""

    keys: list[Literal]
    values: list[Literal]


def read(node: Node) -> Literal:
    """The value that Cog reads.

    Raises:
        NoLiteral: Cog cannot read it.
    """
    match node.type:
        case "none":
            return None
        case "true" | "false":
            return node.type == "true"
        case "integer":
            return _integer(text(node))
        case "float":
            return number(node)
        case "unary_operator":
            try:
                return _integer(text(node))
            except NoLiteral:
                return number(node)
        case "string" | "concatenated_string":
            return string(node)
        case "list":
            return [read(child) for child in node.named_children]
        case "set":
            return Set([read(child) for child in node.named_children])
        case "tuple":
            return [value for child in node.named_children for value in _readable(child)]
        case "dictionary":
            return _pairs(node)
    raise NoLiteral


def number(node: Node) -> float:
    """The number of a bound, from any text that is a number.

    Raises:
        NoLiteral: it is not a number, or too large.
    """
    try:
        value = float(text(node))
    except ValueError:
        raise NoLiteral from None
    if math.isinf(value) and any(character.isdigit() for character in text(node)):
        raise NoLiteral
    return value


def string(node: Node) -> str:
    """The unchanged text between the quotes: Cog does not decode escapes or join adjacent strings.

    Raises:
        NoLiteral: it does not begin with a quote, or with r and a quote.
    """
    source = text(node)
    for opening, quote in (('"""', 3), ("'''", 3), ('"', 1), ("'", 1), ('r"', 1), ("r'", 1)):
        if source.startswith(opening):
            return source[len(opening) : len(source) - quote]
    raise NoLiteral


def to_json(value: Literal) -> Any:
    """The value in the schema.

    Raises:
        NoLiteral: JSON cannot express it, so Cog's build fails.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NoLiteral
        return int(Decimal(repr(value))) if value.is_integer() and abs(value) < 1e21 else value
    if isinstance(value, list):
        return [to_json(each) for each in value]
    if isinstance(value, Set):
        return [to_json(each) for each in value.members]
    if isinstance(value, Pairs):
        return {_key(key): to_json(each) for key, each in zip(value.keys, value.values, strict=True)}
    return value


def misread(node: Node) -> str:
    """Why Python reads another value from a literal than Cog does; "" if both read the same."""
    if node.type == "concatenated_string":
        return "Cog does not join adjacent strings: write one"
    if node.type == "string":
        return _misread_string(node)
    if node.type != "pair" and text(node).startswith(_QUOTES):
        return f"Cog would take all of {shown(node)} for one string: write one"
    if node.type == "tuple":
        left_out = next((child for child in node.named_children if not list(_readable(child))), None)
        if left_out and left_out.type != "comment":
            return f"Cog would leave {shown(left_out)} out: write the value"
    if node.type == "dictionary":
        for child in node.named_children:
            if child.type != "comment" and not _is_pair_of_literals(child):
                return f"Cog would leave {shown(child)} out: write the values"
    parts = node.named_children if node.type in _CONTAINERS else []
    return next(filter(None, map(misread, parts)), "")


def _integer(source: str) -> int:
    try:
        value = int(source, 0)
    except ValueError:
        raise NoLiteral from None
    if not -(2**63) <= value < 2**63:
        raise NoLiteral
    return value


def _readable(node: Node) -> Iterator[Literal]:
    """The value of a node, or nothing."""
    try:
        yield read(node)
    except NoLiteral:
        return


def _pairs(node: Node) -> Pairs:
    """Cog leaves out pairs that are not literals."""
    pairs = [child for child in node.named_children if _is_pair_of_literals(child)]
    keys, values = ([part for pair in pairs if (part := field(pair, name))] for name in ("key", "value"))
    return Pairs([read(key) for key in keys], [read(value) for value in values])


def _is_pair_of_literals(node: Node) -> bool:
    parts = [part for name in ("key", "value") if (part := field(node, name))]
    return node.type == "pair" and all(list(_readable(part)) for part in parts)


def _key(key: Literal) -> str:
    """A key as Go writes it."""
    if isinstance(key, bool):
        return str(key).lower()
    if isinstance(key, str | int):
        return str(key)
    if key is None:
        return "<nil>"
    raise NoLiteral


def _misread_string(node: Node) -> str:
    source = text(node)
    if source.startswith(('r"""', "r'''")):
        return 'Cog keeps two of the quotes of r""": write r"..." or """..."""'
    if source.startswith("r"):
        return ""
    if any(part.type == "escape_sequence" for child in node.children for part in (child, *child.children)):
        return f"Cog does not decode the escapes of {shown(node)}: write the characters themselves, or r'...'"
    return ""
