"""The layers: only predict.py imports Cog, models/ imports no scripts, heavy packages are imported when needed."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
HEAVY = {"torch", "transformers", "openvino", "openvino_genai", "gguf", "huggingface_hub"}
OF_SOME_ENGINES = {"numpy", "jinja2", "tokenizers", "psutil"}
SHIPPED = sorted((PROJECT / "models").rglob("*.py"))
# These modules import torch and transformers at the top: they are themselves imported only inside functions.
ENGINES = PROJECT / "models" / "tasks" / "text_generation" / "engines"
HEAVY_THEMSELVES = {
    *(ENGINES / f"{name}.py" for name in ("request_sampling", "packed_attention", "fused_norms")),
    *PROJECT.glob("models/tasks/*/network.py"),  # of make new TASK=custom
}
SCRIPTS = sorted((PROJECT / "scripts").rglob("*.py"))


def imported(nodes: list[ast.AST]) -> set[str]:
    """The top-level packages in the import statements among `nodes`."""
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0}
    return {name.partition(".")[0] for name in names}


def at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Every node that runs when the module is imported, which leaves out function bodies."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from at_import(child)


def test_there_are_files_to_look_at() -> None:
    assert {path.name for path in SHIPPED} >= {"manifest.py", "download.py", "openvino.py", "transformers.py"}
    assert {path.name for path in SCRIPTS} >= {"call.py", "doctor.py"}


def test_only_predict_imports_cog() -> None:
    files = [PROJECT / "predict.py", *SHIPPED, *SCRIPTS]
    assert [path.name for path in files if "cog" in imported(list(ast.walk(ast.parse(path.read_text()))))] == [
        "predict.py"
    ]


@pytest.mark.parametrize("path", [PROJECT / "predict.py", *SHIPPED], ids=lambda path: str(path.relative_to(PROJECT)))
def test_models_imports_no_scripts(path: Path) -> None:
    assert "scripts" not in imported(list(ast.walk(ast.parse(path.read_text()))))


@pytest.mark.parametrize(
    "path", [PROJECT / "predict.py", *SHIPPED, *SCRIPTS], ids=lambda path: str(path.relative_to(PROJECT))
)
def test_heavy_packages_are_imported_only_inside_functions(path: Path) -> None:
    nodes = list(at_import(ast.parse(path.read_text())))
    if path not in HEAVY_THEMSELVES:
        assert not imported(nodes) & HEAVY
    imports = " ".join(ast.unparse(node) for node in nodes if isinstance(node, ast.ImportFrom))
    assert not any(heavy.stem in imports for heavy in HEAVY_THEMSELVES)


def test_importing_predict_py_imports_no_package_that_only_some_images_have() -> None:
    code = f"import predict, sys; print({HEAVY | OF_SOME_ENGINES} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert ran.stdout == "set()\n", ran.stderr
