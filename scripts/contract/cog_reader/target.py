"""Which function of predict.py answers predictions.

Source: Cog 0.22, pkg/schema/python/target.go and annotations.go.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from tree_sitter import Node

from scripts.contract.cog_reader import literals
from scripts.contract.cog_reader.file import File, Import, read
from scripts.contract.cog_reader.models import is_ours, nested, path_of_module
from scripts.contract.cog_reader.syntax import SchemaError, text, unwrapped
from scripts.contract.cog_reader.syntax import field as part

_BASES = ("BaseRunner", "BasePredictor")


@dataclass(frozen=True)
class Target:
    """A function and its file, which may be another one for the method of a parent class."""

    node: Node
    file: File
    is_method: bool

    @property
    def name(self) -> str:
        name = part(self.node, "name")
        return text(name) if name else ""


@dataclass(frozen=True)
class Class:
    """What a class and its parents define: run, predict, and whether a parent is Cog's own base class."""

    run: Target | None = None
    predict: Target | None = None
    is_cogs: bool = False


@dataclass
class Classes:
    """Looks up classes, and their parents in files below `folder`."""

    folder: Path
    _files: dict[str, File | None] = field(default_factory=dict)

    def look_up(self, name: str, file: File, seen: frozenset[tuple[str, str]] = frozenset()) -> Class | None:
        """The class's own and inherited methods; None if there is no class of this name."""
        definition = file.classes().get(name)
        if definition is None:
            return None
        found = Class()
        if (file.path, name) in seen:
            return found
        body, bases = part(definition, "body"), part(definition, "superclasses")
        for node in body.named_children if body else []:
            function = unwrapped(node, "function_definition")
            called = part(function, "name") if function else None
            if function and called and text(called) in ("run", "predict"):
                method = Target(function, file, is_method=True)
                found = replace(found, run=method) if text(called) == "run" else replace(found, predict=method)
        for base in bases.named_children if bases else []:
            if base.type not in ("identifier", "attribute"):
                continue
            if _is_cogs_base(text(base), file):
                found = replace(found, is_cogs=True)
            parent = self._parent(text(base), file, seen | {(file.path, name)}) or Class()
            found = Class(found.run or parent.run, found.predict or parent.predict, found.is_cogs or parent.is_cogs)
        return found

    def _parent(self, name: str, file: File, seen: frozenset[tuple[str, str]]) -> Class | None:
        if name in file.classes():
            return self.look_up(name, file, seen)
        qualified = file.qualified(name)
        source = qualified[1] if qualified else file.imports.get(name, Import("", ""))
        called = qualified[0] if qualified else source.original
        for module in dict.fromkeys((source.module, nested(source))):
            other = self._file(module, file.path)
            if other:
                return self.look_up(called, other, seen)
        return None

    def _file(self, module: str, importer: str) -> File | None:
        path = path_of_module(module, importer) if is_ours(module) else ""
        if path not in self._files:
            try:
                self._files[path] = read(self.folder, path) if path else None
            except SchemaError:
                self._files[path] = None
        return self._files[path]


def find(name: str, file: File, folder: Path) -> Target:
    """The function that Cog calls for a class, or for a function of the file.

    Raises:
        SchemaError: there is none, or Cog's server refuses the class.
    """
    found = Classes(folder).look_up(name, file)
    if found is None:
        function = _function(name, file) or _function("predict", file)
        if function is None:
            known = ", ".join(served(file, folder)) or "none"
            raise SchemaError(f"{file.path} has no class {name} with a run or predict method: it has {known}")
        return Target(function, file, is_method=False)
    if found.run and found.predict:
        what = f"{name} has run() and predict(), of which Cog's server takes only one: keep run()"
        raise found.run.file.error(found.run.node, what)
    target = found.run or found.predict
    if target is None:
        raise SchemaError(f"{file.path}: the class {name} has no run() and no predict() method")
    return target


def served(file: File, folder: Path) -> list[str]:
    """The classes that answer predictions, in the file's order: only those with Cog's base class if there are any."""
    classes = Classes(folder)
    found = {name: classes.look_up(name, file) or Class() for name in file.classes()}
    able = [name for name, one in found.items() if one.run or one.predict]
    return [name for name in able if found[name].is_cogs] or able


def streams(target: Target) -> bool:
    """Whether the function is marked with Cog's @streaming."""
    return any(_cogs_name(called, target.file) == "streaming" for called, _ in _decorators(target))


def slots(target: Target) -> int:
    """The N of `@concurrent(max=N)`; 1 without.

    Raises:
        SchemaError: Cog refuses it; names the line.
    """
    for called, call in _decorators(target):
        if _cogs_name(called, target.file) != "concurrent":
            continue
        arguments = part(call, "arguments") if call else None
        given = arguments.named_children if arguments else []
        if not given:
            return 1
        count = _max(given[0]) if len(given) == 1 else None
        if count is None:
            raise target.file.error(called, "write @concurrent(max=N) with an integer of at least 1")
        if count > 1 and not is_async(target):
            raise target.file.error(called, "@concurrent(max > 1) needs an async method")
        return count
    return 1


def is_async(target: Target) -> bool:
    return any(child.type == "async" for child in target.node.children)


def _max(argument: Node) -> int | None:
    name, value = part(argument, "name"), part(argument, "value")
    if argument.type != "keyword_argument" or name is None or value is None or text(name) != "max":
        return None
    try:
        count = literals.read(value)
    except literals.NoLiteral:
        return None
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 1 else None


def _decorators(target: Target) -> list[tuple[Node, Node | None]]:
    """Each decorator's name, and its call if it is one."""
    parent = target.node.parent
    found: list[tuple[Node, Node | None]] = []
    for node in parent.named_children if parent and parent.type == "decorated_definition" else []:
        if node.type == "decorator" and node.named_children:
            expression = node.named_children[0]
            called = part(expression, "function") if expression.type == "call" else expression
            if called:
                found.append((called, expression if expression.type == "call" else None))
    return found


def _cogs_name(node: Node, file: File) -> str:
    """Cog's own name for a decorator; "" if it is not Cog's.

    Raises:
        SchemaError: Cog would ignore its own decorator, because it does not see where the name comes from.
    """
    is_unknown = text(node) not in file.imports and _function(text(node), file) is None
    if is_unknown and text(node) in ("streaming", "concurrent"):
        raise file.error(node, f"Cog would ignore @{text(node)}: write `from cog import {text(node)}` at the top level")
    if node.type == "attribute":
        module, _, rest = text(node).partition(".")
        return rest if file.imports.get(module) == Import("cog", "cog") else ""
    source = file.imports.get(text(node), Import("", ""))
    return source.original if node.type == "identifier" and source.module == "cog" else ""


def _is_cogs_base(name: str, file: File) -> bool:
    qualified = file.qualified(name)
    rest, source = qualified or (
        file.imports.get(name, Import("", "")).original,
        file.imports.get(name, Import("", "")),
    )
    return source.module == "cog" and rest in _BASES


def _function(name: str, file: File) -> Node | None:
    for node in file.root.named_children:
        function = unwrapped(node, "function_definition")
        called = part(function, "name") if function else None
        if function and called and text(called) == name:
            return function
    return None
