"""The layers: only predict.py imports Cog, models/ imports no scripts, heavy packages are imported when needed."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[3]
HEAVY = {"torch", "transformers", "openvino", "openvino_genai", "gguf", "huggingface_hub"}
OF_SOME_ENGINES = {"numpy", "jinja2", "tokenizers", "psutil"}
SHIPPED = sorted((PROJECT / "models").rglob("*.py"))
# These modules import torch and transformers at the top: they are themselves imported only inside functions.
ENGINES = PROJECT / "models" / "tasks" / "text_generation" / "engines"
HEAVY_THEMSELVES = {
    *(ENGINES / f"{name}.py" for name in ("fast_preparation", "fused_layers", "packed_attention", "request_sampling")),
    *ENGINES.glob("triton_*.py"),
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


def importing(package: str, files: list[Path]) -> list[str]:
    """The files that import a package, at the top or inside functions."""
    return [path.name for path in files if package in imported(list(ast.walk(ast.parse(path.read_text()))))]


def test_only_predict_imports_cog() -> None:
    assert importing("cog", [PROJECT / "predict.py", *SHIPPED, *SCRIPTS]) == ["predict.py"]


def test_models_imports_no_scripts() -> None:
    assert importing("scripts", [PROJECT / "predict.py", *SHIPPED]) == []


def test_heavy_packages_are_imported_only_inside_functions() -> None:
    wrong: dict[Path, object] = {}
    for path in [PROJECT / "predict.py", *SHIPPED, *SCRIPTS]:
        nodes = list(at_import(ast.parse(path.read_text())))
        if path not in HEAVY_THEMSELVES and (heavy := imported(nodes) & HEAVY):
            wrong[path] = heavy
        imports = " ".join(ast.unparse(node) for node in nodes if isinstance(node, ast.ImportFrom))
        if through := [heavy.stem for heavy in HEAVY_THEMSELVES if heavy.stem in imports]:
            wrong[path] = through
    assert wrong == {}


def test_importing_predict_py_imports_no_package_that_only_some_images_have() -> None:
    code = f"import predict, sys; print({HEAVY | OF_SOME_ENGINES} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert ran.stdout == "set()\n", ran.stderr
