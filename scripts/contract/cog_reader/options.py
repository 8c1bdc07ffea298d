"""What Cog reads from an Input(...), and where that differs from Python.

Source: Cog 0.22, pkg/schema/python/inputs.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tree_sitter import Node

from scripts.contract.cog_reader import choices, literals
from scripts.contract.cog_reader.file import File, Import
from scripts.contract.cog_reader.literals import NoLiteral
from scripts.contract.cog_reader.syntax import Unsupported, shown, statement, text, unwrapped
from scripts.contract.cog_reader.syntax import field as part

# Input()'s keyword -> the schema's.
NUMBERS = {"ge": "minimum", "le": "maximum", "min_length": "minLength", "max_length": "maxLength"}
TEXTS = {"description": "description", "regex": "pattern", "accept": "x-cog-accept"}
KEYWORDS = ("default", "choices", "deprecated", *NUMBERS, *TEXTS)


@dataclass
class Options:
    """What Cog reads from an Input(...), by keyword; `lost`: why a keyword's value differs from Python's."""

    given: dict[str, Any] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Factory:
    """A method that returns an Input(...): its options, and the parameters that a call may set."""

    options: Options
    parameters: list[str]


def of_call(call: Node, file: File) -> Options:
    """What Cog reads from an Input(...).

    Raises:
        Unsupported: Cog refuses it.
    """
    options = Options()
    arguments = part(call, "arguments")
    for argument in arguments.named_children if arguments else []:
        name, value = part(argument, "name"), part(argument, "value")
        if argument.type == "keyword_argument" and name and value:
            _option(text(name), value, file, options)
        elif argument.type != "comment":
            keyword = "" if "splat" in argument.type else "default="
            options.lost[text(argument)] = (
                f"Cog would leave {shown(argument)} out: write {keyword or 'the keywords'}..."
            )
    return options


def _option(keyword: str, value: Node, file: File, options: Options) -> None:
    if keyword == "default_factory":
        raise Unsupported("Cog takes no default_factory: write default=..., a literal")
    if keyword not in KEYWORDS:
        options.lost[keyword] = f"Input() has no {keyword}: it has {', '.join(KEYWORDS)}"
        return
    try:
        read = _read(keyword, value, file)
    except NoLiteral:
        if keyword == "choices":
            raise Unsupported(f"choices={shown(value)} is not a list of literals to Cog: write one") from None
        if value.type != "none":
            what = f"{keyword}={shown(value)} is not a literal to Cog, which would leave it out of the schema"
            options.lost[keyword] = f"{what}: {_remedy(keyword, value)}"
        if keyword == "default":
            options.given[keyword] = None
        return
    options.given[keyword] = read
    options.lost |= lost(keyword, value, file)


def _read(keyword: str, value: Node, file: File) -> Any:
    """The value of one of Input()'s keywords.

    Raises:
        NoLiteral: Cog cannot read it.
    """
    if keyword == "default":
        return choices.value(value, file)
    if keyword == "choices":
        return choices.read(value, file)
    if keyword in NUMBERS:
        number = literals.number(value)
        if keyword.endswith("length") and not (number.is_integer() and 0 <= number < 2**63):
            raise NoLiteral
        return number
    if keyword == "deprecated":
        if value.type not in ("true", "false"):
            raise NoLiteral
        return value.type == "true"
    if keyword == "description" and value.type == "identifier" and text(value) in file.constants:
        constant = file.constants[text(value)].value
        if isinstance(constant, str):
            return constant
    return literals.string(value)


def _remedy(keyword: str, value: Node) -> str:
    if value.type in ("list", "tuple", "set") and any(child.type == "comment" for child in value.named_children):
        return "remove the comment in it"
    if keyword in ("default", "description"):
        return "write the value, or a constant of the same file"
    return "write the value itself"


def lost(keyword: str, value: Node, file: File) -> dict[str, str]:
    """Why Python has another value here than Cog, by keyword; empty if both have the same."""
    if keyword in NUMBERS or keyword == "deprecated":
        return {}
    why = choices.misread(value, file)
    return {keyword: why} if why else {}


def is_input(node: Node, file: File) -> bool:
    called = part(node, "function") if node.type == "call" else None
    if called is None:
        return False
    return text(called) == "Input" or file.imports.get(text(called)) == Import("cog", "Input")


def shared(file: File) -> dict[str, Options | Factory]:
    """Each Input(...) in a class attribute of the file, or returned by a method, by Class.name."""
    found: dict[str, Options | Factory] = {}
    for name, definition in file.classes().items():
        body = part(definition, "body")
        for node in map(statement, body.named_children if body else []):
            function = unwrapped(node, "function_definition")
            left, right = part(node, "left"), part(node, "right")
            try:
                if function:
                    found |= {f"{name}.{called}": factory for called, factory in _factories(function, file)}
                elif node.type == "assignment" and left and left.type == "identifier" and right:
                    found |= {f"{name}.{text(left)}": of_call(right, file)} if is_input(right, file) else {}
            except Unsupported:
                continue
    return found


def _factories(function: Node, file: File) -> Iterator[tuple[str, Factory]]:
    """The method as a factory if it returns an Input(...)."""
    name, body, parameters = (part(function, each) for each in ("name", "body", "parameters"))
    returned = [
        node.named_children[0]
        for node in (body.named_children if body else [])
        if node.type == "return_statement" and node.named_children and is_input(node.named_children[0], file)
    ]
    if name and returned:
        names = [_parameter(node) for node in (parameters.children if parameters else [])]
        yield (
            text(name),
            Factory(of_call(returned[0], file), [each for each in names if each not in ("", "self", "cls")]),
        )


def _parameter(node: Node) -> str:
    name = node if node.type == "identifier" else part(node, "name")
    if node.type == "typed_parameter":
        name = next((child for child in node.named_children if child.type == "identifier"), None)
    return text(name) if name else ""


def filled_in(factory: Factory, call: Node) -> Options:
    """The factory's options, overridden by a call's arguments; Cog reads only four of them."""
    options = Options(dict(factory.options.given), dict(factory.options.lost))
    arguments = part(call, "arguments")
    names = iter(factory.parameters)
    for argument in arguments.named_children if arguments else []:
        name, value = part(argument, "name"), part(argument, "value")
        keyword = text(name) if argument.type == "keyword_argument" and name else next(names, "")
        given = value if argument.type == "keyword_argument" and value else argument
        if keyword not in ("default", "description", "ge", "le"):
            continue
        try:
            read = {"default": literals.read, "description": literals.string}.get(keyword, literals.number)(given)
        except NoLiteral:
            options.lost[keyword] = f"Cog cannot read {keyword}={shown(given)} in a call: write the value itself"
            continue
        options.given[keyword] = read
        options.lost.pop(keyword, None)
        if why := literals.misread(given):
            options.lost[keyword] = why
    return options
