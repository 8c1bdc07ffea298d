"""Values that Cog looks up in the file: constants, and lists of choices made from them.

Source: Cog 0.22, pkg/schema/python/module_scope.go.
"""

from __future__ import annotations

from tree_sitter import Node

from scripts.contract.cog_reader import literals
from scripts.contract.cog_reader.file import File
from scripts.contract.cog_reader.literals import Literal, NoLiteral, Pairs
from scripts.contract.cog_reader.syntax import field, text


def value(node: Node, file: File) -> Literal:
    """A literal, or a constant of the file.

    Raises:
        NoLiteral: it is neither.
    """
    try:
        return literals.read(node)
    except NoLiteral:
        if node.type != "identifier" or text(node) not in file.constants:
            raise
        return file.constants[text(node)].value


def read(node: Node, file: File) -> list[Literal]:
    """Choices: a list, a constant with a list, list(CONSTANT.keys()) or .values(), or a sum of these.

    Raises:
        NoLiteral: Cog cannot read them.
    """
    found = value(node, file) if node.type in ("list", "identifier") else None
    if isinstance(found, list):
        return found
    if node.type == "call":
        return _of_dict(node, file)
    left, right = field(node, "left"), field(node, "right")
    if node.type == "binary_operator" and left and right and any(child.type == "+" for child in node.children):
        return [*read(left, file), *read(right, file)]
    raise NoLiteral


def misread(node: Node, file: File) -> str:
    """Why Python has another value here than Cog; "" if both have the same."""
    if node.type == "identifier":
        return literals.misread(file.constants[text(node)].node) if text(node) in file.constants else ""
    if node.type == "binary_operator":
        parts = [part for name in ("left", "right") if (part := field(node, name))]
        return next(filter(None, (misread(part, file) for part in parts)), "")
    if node.type == "call":
        constant = file.constants.get(text(node).partition("(")[2].partition(".")[0].strip())
        return literals.misread(constant.node) if constant else ""
    return literals.misread(node)


def _of_dict(node: Node, file: File) -> list[Literal]:
    called, arguments = field(node, "function"), field(node, "arguments")
    inner = arguments.named_children[0] if arguments and arguments.named_children else None
    method = field(inner, "function") if inner and inner.type == "call" else None
    owner, name = (field(method, each) if method else None for each in ("object", "attribute"))
    if not called or text(called) != "list" or not owner or owner.type != "identifier" or not name:
        raise NoLiteral
    pairs = file.constants[text(owner)].value if text(owner) in file.constants else None
    if not isinstance(pairs, Pairs) or text(name) not in ("keys", "values"):
        raise NoLiteral
    return pairs.keys if text(name) == "keys" else pairs.values
