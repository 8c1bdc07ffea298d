"""The direction of imports: scripts/ imports models/, code of a task imports common code, and there is no cycle."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from models import manifest
from models.manifest import PROJECT
from scripts import tasks
from scripts.rendering import packages

SHIPPED = sorted((PROJECT / "models").rglob("*.py"))
SCRIPTS = sorted((PROJECT / "scripts").rglob("*.py"))
TASKS = manifest.tasks()
OF_LIBRARIES = {("scripts/conversion/encoder.py", "text-classification")}
"""Names of a library that equal a task's name: optimum exports a model with a classification head under this one."""


def module_of(path: Path) -> str:
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imported_by(path: Path) -> frozenset[str]:
    return frozenset(packages.imported(path))


def room_of(module: str) -> str:
    """The package of a module: scripts.calling, models.tasks.text_generation; otherwise the module itself."""
    parts = module.split(".")
    return ".".join(parts[: 3 if parts[:2] == ["models", "tasks"] else 2])


def texts_in(path: Path) -> Iterator[str]:
    """The names and strings in a file's code, without docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value
        elif isinstance(node, ast.Name):
            yield node.id


@pytest.mark.parametrize("part", ["weights", "runtimes"])
def test_weights_and_runtimes_know_no_task(part: str) -> None:
    files = [path for path in SHIPPED if path.is_relative_to(PROJECT / "models" / part)]
    assert files
    wrong = {str(path): name for path in files for name in imported_by(path) if name.startswith("models.tasks")}
    assert wrong == {}


def test_a_tool_outside_scripts_tasks_names_no_task() -> None:
    spellings = {form for task in TASKS for form in (task, task.replace("-", "_"), task.title().replace("-", ""))}
    tools = [path for path in SCRIPTS if not path.is_relative_to(PROJECT / "scripts" / "tasks")]
    imports = {str(path): name for path in tools for name in imported_by(path) if name.startswith("models.tasks.")}
    assert imports == {}
    named = {(str(path.relative_to(PROJECT)), text) for path in tools for text in texts_in(path) if text in spellings}
    assert named <= OF_LIBRARIES


def test_every_task_has_its_file_for_the_tools_and_its_schema() -> None:
    for task in TASKS:
        assert (PROJECT / "scripts" / "tasks" / f"{task.replace('-', '_')}.py").is_file(), task
        assert (PROJECT / "schemas" / f"{task.title().replace('-', '')}.json").is_file(), task


def test_everything_that_tools_need_from_a_task_is_described_in_one_place() -> None:
    asked = {
        name
        for path in SCRIPTS
        for name in re.findall(r"""\battribute\(\w+, "(\w+)\"""", path.read_text(encoding="utf-8"))
    }
    assert len(asked) > 5
    assert {name for name in asked if not re.search(rf"`{name}\b", tasks.__doc__ or "")} == set()


def test_no_package_imports_one_that_imports_it() -> None:
    graph: dict[str, set[str]] = {}
    for path in [*SHIPPED, *SCRIPTS]:
        room = room_of(module_of(path))
        graph.setdefault(room, set()).update(
            {room_of(name) for name in imported_by(path)} - {room, "models", "scripts"}
        )
    packages.refuse_circles(graph)
