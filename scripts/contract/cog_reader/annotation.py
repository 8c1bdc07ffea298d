"""Type annotations as Cog parses them. Source: Cog 0.22, pkg/schema/python/annotations.go."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from tree_sitter import Node

from scripts.contract.cog_reader.syntax import Unsupported, field, shown, text

_NAME = re.compile(r"\w+(\.\w+)*", re.ASCII)


@dataclass(frozen=True)
class Annotation:
    """A name, a name with arguments in brackets, or a union of `arguments`."""

    kind: Literal["name", "generic", "union"]
    name: str = ""
    arguments: tuple[Annotation, ...] = ()

    @property
    def is_none(self) -> bool:
        return self.kind == "name" and self.name == "None"

    def __str__(self) -> str:
        inner = [str(argument) for argument in self.arguments]
        if self.kind == "union":
            return " | ".join(inner)
        return f"{self.name}[{', '.join(inner)}]" if inner else self.name


def parse_annotation(node: Node) -> Annotation:
    """The annotation in a node.

    Raises:
        Unsupported: Cog does not understand it.
    """
    if node.type == "type" and node.named_children:
        node = node.named_children[0]
    match node.type:
        case "identifier" | "attribute":
            return Annotation("name", text(node))
        case "none":
            return Annotation("name", "None")
        case "subscript":
            return _subscript(node)
        case "binary_operator":
            return _union(node)
        case "string" | "concatenated_string":
            return _from_text(text(node).lstrip("\"'").rstrip("\"'"), node)
    return _from_text(text(node), node)


def from_text(source: str) -> Annotation | None:
    """The annotation in a text; None if Cog sees none."""
    source = source.strip()
    if len(source) >= 2 and source[0] == source[-1] and source[0] in "\"'":
        return from_text(source[1:-1])
    parts = _split(source, "|")
    if len(parts) > 1:
        return _of_parts("union", "", parts)
    bracket = source.find("[")
    if bracket >= 0 and source.endswith("]"):
        return _of_parts("generic", source[:bracket].strip(), _split(source[bracket + 1 : -1], ","))
    return Annotation("name", source) if _NAME.fullmatch(source) else None


def _from_text(source: str, node: Node) -> Annotation:
    found = from_text(source)
    if found is None:
        raise Unsupported(f"Cog does not understand the type {shown(node)}")
    return found


def _of_parts(kind: Literal["generic", "union"], name: str, parts: list[str]) -> Annotation | None:
    arguments = tuple(argument for part in parts if (argument := from_text(part)))
    return Annotation(kind, name, arguments) if len(arguments) == len(parts) else None


def _split(source: str, separator: str) -> list[str]:
    """Split at the separators that are outside of brackets."""
    parts, depth = [""], 0
    for character in source:
        depth += {"[": 1, "]": -1}.get(character, 0)
        if character == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _subscript(node: Node) -> Annotation:
    value = field(node, "value")
    if value is None:
        raise Unsupported(f"Cog does not understand the type {shown(node)}")
    arguments = tuple(parse_annotation(child) for child in node.named_children if child.start_byte != value.start_byte)
    return Annotation("generic" if arguments else "name", text(value), arguments)


def _union(node: Node) -> Annotation:
    left, right = field(node, "left"), field(node, "right")
    if left is None or right is None or not any(child.type == "|" for child in node.children):
        raise Unsupported(f"Cog does not understand the type {shown(node)}")
    members = [parse_annotation(left), parse_annotation(right)]
    flat = [part for member in members for part in (member.arguments if member.kind == "union" else (member,))]
    return Annotation("union", "", tuple(flat))
