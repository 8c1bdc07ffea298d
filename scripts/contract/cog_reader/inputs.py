"""The inputs of a function: its parameters and their Input(...). Source: Cog 0.22, pkg/schema/python/inputs.go.

An input is refused if Cog would silently leave a part of it out, or read it differently from Python: callers would not
get what predict.py says. A misread description, which only people read, is only remarked on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tree_sitter import Node

from scripts.contract.cog_reader import choices, input_types, literals
from scripts.contract.cog_reader.annotation import parse_annotation
from scripts.contract.cog_reader.input_types import InputType
from scripts.contract.cog_reader.literals import NoLiteral
from scripts.contract.cog_reader.models import Models
from scripts.contract.cog_reader.names import PRIMITIVES
from scripts.contract.cog_reader.options import (
    NUMBERS,
    TEXTS,
    Factory,
    Options,
    filled_in,
    is_input,
    lost,
    of_call,
    shared,
)
from scripts.contract.cog_reader.output_types import title
from scripts.contract.cog_reader.syntax import Unsupported, shown, text
from scripts.contract.cog_reader.syntax import field as part
from scripts.contract.cog_reader.target import Target


@dataclass(frozen=True)
class Input:
    """One input. `choices`: the enumeration that it refers to; `remark`: how Cog misreads its description, or ""."""

    name: str
    node: Node
    schema: dict[str, Any]
    required: bool
    choices: dict[str, Any] | None
    remark: str


class Reader:
    def __init__(self, target: Target, models: Models) -> None:
        self._target, self._file, self._models = target, target.file, models
        self._shared = shared(target.file)

    def inputs(self) -> Iterator[Input]:
        """The inputs in the order of the signature.

        Raises:
            SchemaError: Cog refuses one, or would silently misread it; names the line.
        """
        parameters = part(self._target.node, "parameters")
        is_receiver = self._target.is_method
        order = 0
        for node in parameters.children if parameters else []:
            if node.type == "identifier" and text(node) != "self" and not is_receiver:
                raise self._file.error(node, f"Cog would leave the input {text(node)} out: give it a type")
            if node.type == "default_parameter":
                raise self._file.error(node, f"the input {text(node).partition('=')[0].strip()} needs a type")
            if node.type == "positional_separator":
                raise self._file.error(
                    node, "Cog's server passes inputs by name, which parameters before / refuse: remove the /"
                )
            if node.type in ("typed_parameter", "typed_default_parameter"):
                yield self._input(node, order)
                order += 1
            is_receiver = is_receiver and (node.type == "comment" or not node.is_named)

    def _input(self, node: Node, order: int) -> Input:
        name = part(node, "name") or next((child for child in node.children if child.type == "identifier"), None)
        kind, value = part(node, "type"), part(node, "value")
        if name is None or kind is None:
            raise self._file.error(node, f"Cog takes no inputs like {shown(node)}")
        try:
            found = input_types.resolve(parse_annotation(kind), self._models)
            options = self._options(value) if value else Options()
            return _described(text(name), node, order, found, options)
        except Unsupported as error:
            raise self._file.error(node, f"the input {text(name)}: {error}") from error

    def _options(self, value: Node) -> Options:
        """The options in the default value of a parameter.

        Raises:
            Unsupported: Cog cannot read it.
        """
        if is_input(value, self._file):
            return of_call(value, self._file)
        attribute = self._shared.get(text(value)) if value.type == "attribute" else None
        if isinstance(attribute, Options):
            return attribute
        called = part(value, "function") if value.type == "call" else None
        factory = self._shared.get(text(called)) if called and called.type == "attribute" else None
        if isinstance(factory, Factory):
            return filled_in(factory, value)
        try:
            return Options({"default": choices.value(value, self._file)}, lost("default", value, self._file))
        except NoLiteral:
            raise Unsupported(
                f"{shown(value)} is not a literal: write the value, or a constant of the same file"
            ) from None


def _described(name: str, node: Node, order: int, kind: InputType, options: Options) -> Input:
    given = options.given
    reasons = [why for keyword, why in options.lost.items() if keyword != "description"]
    if reasons:
        raise Unsupported(reasons[0])
    if "accept" in given and kind.primitive not in ("Path", "File"):
        raise Unsupported("accept is for files: give it the type Path")
    limits = {*NUMBERS, "regex"} & given.keys()
    if kind.kind == "union" and (given.get("choices") or limits):
        raise Unsupported("Cog takes no limits and no choices on a union")
    default = given.get("default")
    is_optional_secret = kind.kind == "primitive" and kind.name == "Secret" and "default" in given and default is None
    nullable = kind.nullable or is_optional_secret
    has_default = "default" in given and (default is not None or nullable)
    schema: dict[str, Any] = {"x-order": order}
    enumeration = None
    if given.get("choices"):
        schema["allOf"] = [{"$ref": f"#/components/schemas/{name}"}]
        enumeration = {
            "title": name,
            "description": "An enumeration.",
            "enum": [_json(choice) for choice in given["choices"]],
            "type": PRIMITIVES[kind.primitive]["type"],
        }
    else:
        schema |= {"title": title(name), **kind.schema()}
    schema |= ({"default": _json(default)} if has_default else {}) | ({"nullable": True} if nullable else {})
    schema |= {key: _json(given[keyword]) for keyword, key in (NUMBERS | TEXTS).items() if keyword in given}
    schema |= {"deprecated": True} if given.get("deprecated") else {}
    required = not has_default and (kind.kind == "union" or not kind.nullable)
    return Input(name, node, schema, required, enumeration, options.lost.get("description", ""))


def _json(value: literals.Literal) -> Any:
    try:
        return literals.to_json(value)
    except NoLiteral:
        raise Unsupported(f"JSON cannot express {value}") from None
