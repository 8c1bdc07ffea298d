"""The syntax tree of a Python file, with the grammar of Cog 0.22."""

from __future__ import annotations

import functools

import tree_sitter_python
from tree_sitter import Language, Node, Parser

from models.errors import TemplateError


class SchemaError(TemplateError):
    """Something in predict.py that Cog refuses, or that it would silently misread."""


class Unsupported(Exception):
    """The same, raised where the line is unknown: the code that catches it adds the line."""


def parse(source: bytes, name: str) -> Node:
    """The root of the tree; `name`: of the file, for errors.

    Raises:
        SchemaError: it is not Python; names the line.
    """
    root = _parser().parse(source).root_node
    if root.has_error:
        raise SchemaError(f"{name}, {_syntax_error(source, root)}")
    return root


def text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", errors="replace")


def shown(node: Node) -> str:
    """The source of a node for messages: on one line, cut at 60 characters."""
    source = " ".join(text(node).split())
    return source if len(source) <= 60 else f"{source[:59]}…"


def field(node: Node, name: str) -> Node | None:
    """The child of a node that the grammar calls `name`."""
    return node.child_by_field_name(name)


def line_of(node: Node) -> int:
    """The first line of a node, counted from 1."""
    return node.start_point.row + 1


def unwrapped(node: Node, kind: str) -> Node | None:
    """The definition of this kind in a node, without its decorators."""
    if node.type == "decorated_definition":
        return next((child for child in node.named_children if child.type == kind), None)
    return node if node.type == kind else None


def statement(node: Node) -> Node:
    """The expression in an expression statement; any other node itself."""
    return node.named_children[0] if node.type == "expression_statement" and node.named_child_count == 1 else node


@functools.cache
def _parser() -> Parser:
    return Parser(Language(tree_sitter_python.language()))


def _syntax_error(source: bytes, root: Node) -> str:
    """Python's own message; if Python accepts the file, the first line that Cog's parser does not understand."""
    try:
        compile(source, "predict.py", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        return f"line {getattr(error, 'lineno', None) or 1}: {getattr(error, 'msg', error)}"
    broken = root
    while inner := next((child for child in broken.children if child.has_error or child.is_missing), None):
        broken = inner
    return f"line {line_of(broken)}: Cog's parser does not understand this: write it on one line, or in an older syntax"
