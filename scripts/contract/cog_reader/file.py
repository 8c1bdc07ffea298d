"""A Python file as Cog sees it: its syntax tree, the names that it imports, and its constants.

Source: Cog 0.22, pkg/schema/python/imports.go and module_scope.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tree_sitter import Node

from scripts.contract.cog_reader import literals
from scripts.contract.cog_reader.syntax import SchemaError, field, line_of, parse, statement, text, unwrapped

TYPING = ("typing", "typing_extensions")
BUILTINS = ("str", "int", "float", "bool", "list", "dict", "set", "None")


class Import(NamedTuple):
    """Where a name comes from; for `import x`, both are x."""

    module: str
    original: str


class Constant(NamedTuple):
    """A literal with a name at the top level of the file."""

    value: literals.Literal
    node: Node


@dataclass(frozen=True)
class File:
    """A parsed file. `path`: relative to the folder that imports start from."""

    path: str
    root: Node
    imports: dict[str, Import]
    constants: dict[str, Constant]

    def error(self, node: Node, message: str) -> SchemaError:
        """An error that names this file and the node's line."""
        return SchemaError(f"{self.path}, line {line_of(node)}: {message}")

    def qualified(self, name: str) -> tuple[str, Import] | None:
        """For module.Name: Name, and where the module comes from. None for a name without a dot."""
        module, dot, rest = name.partition(".")
        return (rest, self.imports.get(module, Import("", ""))) if dot else None

    def classes(self) -> dict[str, Node]:
        """The top-level classes by name; the first one if a name occurs twice."""
        found: dict[str, Node] = {}
        for node in self.root.named_children:
            definition = unwrapped(node, "class_definition")
            if definition and (name := field(definition, "name")):
                found.setdefault(text(name), definition)
        return found


def read(folder: Path, path: str) -> File:
    """Parse `path`, relative to `folder`.

    Raises:
        SchemaError: it cannot be read, or is not Python; names the line.
    """
    try:
        source = (folder / path).read_bytes()
    except OSError as error:
        raise SchemaError(f"cannot read {path}: {error.strerror}") from error
    root = parse(source, path)
    return File(path, root, _imports(root), _constants(root))


def _imports(root: Node) -> dict[str, Import]:
    found: dict[str, Import] = {}
    for node in root.named_children:
        if node.type == "import_from_statement":
            _import_from(node, found)
        elif node.type == "import_statement":
            for part in text(node).removeprefix("import ").split(","):
                module, _, alias = (each.strip() for each in part.partition(" as "))
                if module:
                    found[alias or module] = Import(module, module)
    for name in BUILTINS:
        found.setdefault(name, Import("builtins", name))
    return found


def _import_from(node: Node, found: dict[str, Import]) -> None:
    source = field(node, "module_name")
    if source is None:
        return
    module = text(source)
    for child in node.children:
        if child.type == "dotted_name" and child.start_byte != source.start_byte:
            found[text(child)] = Import(module, text(child))
        elif child.type == "aliased_import":
            original, alias = field(child, "name"), field(child, "alias")
            if original and alias:
                found[text(alias)] = Import(module, text(original))


def _constants(root: Node) -> dict[str, Constant]:
    found: dict[str, Constant] = {}
    for node in map(statement, root.named_children):
        left, right = field(node, "left"), field(node, "right")
        if node.type != "assignment" or left is None or right is None or left.type != "identifier":
            continue
        try:
            found[text(left)] = Constant(literals.read(right), right)
        except literals.NoLiteral:
            continue
    return found
