"""The packages of this project and their imports, for the picture in docs/architecture.md."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TypeAlias

from models.errors import TemplateError
from models.manifest import PROJECT

Imports: TypeAlias = dict[str, set[str]]
"""The packages that each package imports, by name, such as scripts/release."""
_COMMANDS, _MODELS = "scripts/*.py", "models/*.py"


def imports() -> Imports:
    """The project's packages that each package imports, also inside functions. scripts/*.py count as one package, as do
    models/*.py.

    Raises:
        TemplateError: there is a circle of imports; names it.
    """
    found: Imports = {}
    for path in [PROJECT / "predict.py", *_files("models"), *_files("scripts")]:
        package = _package(path.relative_to(PROJECT).with_suffix("").parts)
        others = {_package(tuple(name.split("."))) for name in imported(path)}
        found[package] = found.get(package, set()) | others - {package, "scripts"}
    found.pop("scripts", None)  # scripts/__init__.py is not part of a package
    refuse_circles(found)
    return found


def picture() -> str:
    """A Mermaid graph with an arrow from each package to its imports, unless a longer path leads there too."""
    found = imports()
    names = {package: f"p{number}" for number, package in enumerate(sorted(found))}
    lines = [f'    {name}["{package}"]' for package, name in names.items()]
    for package in names:
        direct = found[package]
        beyond = {other for one in direct for other in _reached(found, one)}
        lines += [f"    {names[package]} --> {names[one]}" for one in sorted(direct - beyond)]
    return "\n".join(["```mermaid", "graph TD", *lines, "```"])


def _files(folder: str) -> Iterator[Path]:
    return (path for path in sorted((PROJECT / folder).rglob("*.py")))


def _package(parts: tuple[str, ...]) -> str:
    """A module's package in the picture: scripts/release for scripts.release.gate, scripts/*.py for scripts.push."""
    top = parts[0]
    if top == "predict":
        return "predict.py"
    if len(parts) > 1 and (PROJECT / top / parts[1]).is_dir():
        return f"{top}/{parts[1]}"
    if top == "scripts":
        return _COMMANDS if len(parts) > 1 and parts[1] != "__init__" else "scripts"
    return _MODELS


def imported(path: Path) -> Iterator[str]:
    """The modules of this project that a file imports, also inside functions."""
    for node in _statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" if _is_module(node, alias) else node.module for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] in ("models", "scripts", "predict"))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """The statements inside a node: imports are among them, and expressions, which are most of a file, are not read."""
    for part in ("body", "orelse", "finalbody", "handlers", "cases"):
        for statement in getattr(node, part, ()):
            yield statement
            yield from _statements(statement)


def _is_module(node: ast.ImportFrom, alias: ast.alias) -> bool:
    path = PROJECT.joinpath(*str(node.module).split("."), alias.name)
    return path.is_dir() or path.with_suffix(".py").is_file()


def _reached(found: Imports, package: str) -> set[str]:
    """The packages that one imports, directly or through others."""
    reached: set[str] = set()
    ahead = [package]
    while ahead:
        new = found.get(ahead.pop(), set()) - reached
        reached |= new
        ahead += new
    return reached


def refuse_circles(found: Imports) -> None:
    """Raises TemplateError, which names the circle, where packages import each other."""
    try:
        TopologicalSorter(found).prepare()
    except CycleError as error:
        circle = " imports ".join(reversed(error.args[1]))
        raise TemplateError(f"{circle}, which is a circle: move what they share below both") from None
