"""The inputs of a function: its parameters and their Input(...). Source: Cog 0.22, pkg/schema/python/inputs.go.

Where Cog silently leaves out or garbles something that Python would have in Input(...), the input is refused: what
predict.py says would not be what callers get. A description, which nothing but people depends on, is only remarked on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tree_sitter import Node

from scripts.cog_reader import choices, input_types, literals
from scripts.cog_reader.annotation import parse_annotation
from scripts.cog_reader.file import File, Import
from scripts.cog_reader.input_types import InputType
from scripts.cog_reader.literals import NoLiteral
from scripts.cog_reader.models import Models
from scripts.cog_reader.names import PRIMITIVES
from scripts.cog_reader.output_types import title
from scripts.cog_reader.syntax import Unsupported, shown, statement, text, unwrapped
from scripts.cog_reader.syntax import field as part
from scripts.cog_reader.target import Target

# Input()'s keyword -> the schema's.
NUMBERS = {"ge": "minimum", "le": "maximum", "min_length": "minLength", "max_length": "maxLength"}
TEXTS = {"description": "description", "regex": "pattern", "accept": "x-cog-accept"}
KEYWORDS = ("default", "choices", "deprecated", *NUMBERS, *TEXTS)


@dataclass
class Options:
    """What Cog reads in an Input(...), by Input()'s keywords; `lost`: why it is not what Python has, by keyword."""

    given: dict[str, Any] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Input:
    """One input. `choices`: the enumeration that it refers to; `remark`: what Cog makes of its description."""

    name: str
    node: Node
    schema: dict[str, Any]
    required: bool
    choices: dict[str, Any] | None
    remark: str


@dataclass(frozen=True)
class _Factory:
    """A method that returns an Input(...): what it says, and the parameters that a call may give."""

    options: Options
    parameters: list[str]


class Reader:
    """Reads the inputs of a function."""

    def __init__(self, target: Target, models: Models) -> None:
        self._target, self._file, self._models = target, target.file, models
        self._shared = _shared(target.file)

    def inputs(self) -> Iterator[Input]:
        """The inputs in the order of the signature.

        Raises:
            SchemaError: Cog refuses one, or would silently make another one of it; names the line.
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
                    node, "Cog's server gives inputs by name, which those before / refuse: remove it"
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
        """What the default of a parameter says.

        Raises:
            Unsupported: Cog does not know it.
        """
        if _is_input(value, self._file):
            return _call(value, self._file)
        shared = self._shared.get(text(value)) if value.type == "attribute" else None
        if isinstance(shared, Options):
            return shared
        called = part(value, "function") if value.type == "call" else None
        factory = self._shared.get(text(called)) if called and called.type == "attribute" else None
        if isinstance(factory, _Factory):
            return _filled_in(factory, value)
        try:
            return Options({"default": choices.value(value, self._file)}, _lost("default", value, self._file))
        except NoLiteral:
            raise Unsupported(
                f"{shown(value)} is no literal: write the value, or a constant of the same file"
            ) from None


def _described(name: str, node: Node, order: int, kind: InputType, options: Options) -> Input:
    given = options.given
    lost = [why for keyword, why in options.lost.items() if keyword != "description"]
    if lost:
        raise Unsupported(lost[0])
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
        raise Unsupported(f"JSON has no word for {value}") from None


def _call(call: Node, file: File) -> Options:
    """What Cog reads in an Input(...).

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
            raise Unsupported(
                f"choices={shown(value)} is nothing that Cog can read: write a list of literals"
            ) from None
        if value.type != "none":
            options.lost[keyword] = f"{keyword}={shown(value)} is nothing that Cog can read: {_remedy(keyword, value)}"
        if keyword == "default":
            options.given[keyword] = None
        return
    options.given[keyword] = read
    options.lost |= _lost(keyword, value, file)


def _read(keyword: str, value: Node, file: File) -> Any:
    """The value of one of Input()'s keywords.

    Raises:
        NoLiteral: Cog cannot read it there.
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
        return "take the comment out of it"
    if keyword in ("default", "description"):
        return "Cog would leave it out of the schema: write the value, or a constant of the same file"
    return "Cog would leave it out of the schema: write the value itself"


def _lost(keyword: str, value: Node, file: File) -> dict[str, str]:
    """Why Python has another value there than Cog; nothing where both have the same."""
    if keyword in NUMBERS or keyword == "deprecated":
        return {}
    why = choices.misread(value, file)
    return {keyword: why} if why else {}


def _is_input(node: Node, file: File) -> bool:
    called = part(node, "function") if node.type == "call" else None
    if called is None:
        return False
    return text(called) == "Input" or file.imports.get(text(called)) == Import("cog", "Input")


def _shared(file: File) -> dict[str, Options | _Factory]:
    """The Input(...)s that classes of the file hold as attributes, or that their methods return, by Class.name."""
    found: dict[str, Options | _Factory] = {}
    for name, definition in file.classes().items():
        body = part(definition, "body")
        for node in map(statement, body.named_children if body else []):
            function = unwrapped(node, "function_definition")
            left, right = part(node, "left"), part(node, "right")
            try:
                if function:
                    found |= {f"{name}.{called}": factory for called, factory in _factories(function, file)}
                elif node.type == "assignment" and left and left.type == "identifier" and right:
                    found |= {f"{name}.{text(left)}": _call(right, file)} if _is_input(right, file) else {}
            except Unsupported:
                continue
    return found


def _factories(function: Node, file: File) -> Iterator[tuple[str, _Factory]]:
    """The method as a factory, where it returns an Input(...)."""
    name, body, parameters = (part(function, each) for each in ("name", "body", "parameters"))
    returned = [
        node.named_children[0]
        for node in (body.named_children if body else [])
        if node.type == "return_statement" and node.named_children and _is_input(node.named_children[0], file)
    ]
    if name and returned:
        names = [_parameter(node) for node in (parameters.children if parameters else [])]
        yield (
            text(name),
            _Factory(_call(returned[0], file), [each for each in names if each not in ("", "self", "cls")]),
        )


def _parameter(node: Node) -> str:
    name = node if node.type == "identifier" else part(node, "name")
    if node.type == "typed_parameter":
        name = next((child for child in node.named_children if child.type == "identifier"), None)
    return text(name) if name else ""


def _filled_in(factory: _Factory, call: Node) -> Options:
    """The factory's options with those that a call gives: Cog looks at four of them."""
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
