"""requirements/: the compiled files follow from their sources, which name every imported package."""

import ast
import re
import shutil
import subprocess
import sys
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from models.manifest import PROJECT
from scripts.dependencies.pins import ENGINES, IN_THE_IMAGE, LOCK, compiled, needed, versions
from tests import commands
from tests.checkout import copied

SOURCES = [path.stem for path in (PROJECT / "requirements").glob("*.in")]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("project"), only=("models/", "scripts/", "requirements/"))


@pytest.fixture
def project(copy: Path) -> Path:
    """A copy whose requirements/ a test may change."""
    shutil.rmtree(copy / "requirements")
    shutil.copytree(PROJECT / "requirements", copy / "requirements")
    return copy


def run(project: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return commands.run(sys.executable, "-m", "scripts.requirements", *arguments, cwd=project)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("plain.in", "pydantic\n", "pydantic>99\n", r"plain.txt has pydantic==\S+, where \S+ needs pydantic>99"),
        ("openvino.in", "gguf\n", "gguf\nmore\n", "openvino.txt is missing more, which requirements/openvino.in needs"),
        ("openvino.in", "gguf\n", "", r"openvino.txt has gguf==\S+, which nothing needs"),
        ("openvino.txt", "\nfsspec==", "\nextra==1.0\nfsspec==", "openvino.txt has extra==1.0, which nothing needs"),
        ("openvino.txt", "\nfsspec==", "\nfsspec==1", r"openvino.txt has fsspec==1\S+, but lock.txt has \d\S+"),
        ("lock.txt", "\nfsspec==", "\n--index-url https://here\nfsspec==", r"lock.txt:\d+: --index-url https://here: "),
        ("plain.txt", "# What", "# This", "plain.txt: its first lines are not those of a compiled file"),
    ],
)  # fmt: skip
def test_a_requirement_that_does_not_follow_from_its_source_is_named(
    project: Path, file: str, old: str, new: str, message: str
) -> None:
    path = project / "requirements" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    checked = run(project, "--check")
    assert checked.returncode == 1
    assert re.search(f"requirements/{message}", checked.stderr), checked.stderr
    assert "python -m scripts.requirements" in checked.stderr or "no option" in checked.stderr


def test_the_committed_requirements_follow_from_their_sources(project: Path) -> None:
    assert run(project, "--check").stderr == ""


def test_uv_compiles_what_is_committed(project: Path) -> None:
    """Only one file: uv looks up each package in the index, which takes some seconds."""
    path = project / "requirements" / "plain.txt"
    path.unlink()
    one = "from scripts.dependencies.compiling import *; write(next(one for one in files() if one.file == 'plain.txt'))"
    commands.succeed(sys.executable, "-c", one, cwd=project)
    assert path.read_text(encoding="utf-8") == (PROJECT / "requirements" / "plain.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_an_image_installs_nothing_for_cuda_that_cog_does_not_choose(name: str) -> None:
    """On a CPU it would be gigabytes; for a GPU, the wrong ones: cog takes torch's build for its version of CUDA."""
    assert [package for package in versions(f"{name}.txt") if package.startswith(("nvidia", "cuda", "triton"))] == []


def test_the_lock_holds_for_every_python_of_the_project() -> None:
    for python in ("3.10", "3.11", "3.12", "3.13"):
        environment = {**IN_THE_IMAGE, "python_version": python, "python_full_version": f"{python}.0"}
        locked = versions(environment=environment)  # type: ignore[arg-type]
        for source in set(SOURCES) - {"optimum"}:
            assert {canonicalize_name(one.name) for one in needed(source)} <= set(locked)


def test_make_check_installs_no_engine() -> None:
    reached = {f"-r {name}.in" for name in ("plain", "scripts", "check")}
    before = 0
    while len(reached) > before:
        before = len(reached)
        reached |= {pin.name for pin in compiled(LOCK) if reached & set(pin.needed_by)}
    assert {"mypy", "pydantic-core"} <= reached
    assert not reached & {"torch", "transformers", "openvino", "openvino-genai", "gradio", "scipy"}


def imported(folder: str) -> set[str]:
    """The names of the packages of others that a folder's modules import, inside functions too."""
    found: set[str] = set()
    for path in (PROJECT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"models", "scripts", "predict", "demo"}


_distributions = cache(packages_distributions)


def providers(module: str) -> set[str]:
    """The distributions of an imported module; .venv-optimum has some that .venv has not."""
    return {canonicalize_name(name) for name in _distributions().get(module, [module])}


OF_OTHERS = {"triton", "vllm"}
"""Triton comes with the PyTorch for GPUs on Linux; vLLM is in the environment that VLLM_PYTHON names."""


def test_every_import_is_of_a_package_that_is_named() -> None:
    named = {canonicalize_name(one.name) for source in SOURCES for one in needed(source)}
    used = (imported("models") | imported("scripts")) - OF_OTHERS
    unnamed = [module for module in used if not named & providers(module)]
    assert unnamed == []


def test_the_type_checker_s_result_does_not_depend_on_other_installed_packages() -> None:
    """Each package that is imported is one that make check installs, or one whose types the checker never reads."""
    skipped = set(re.findall(r'"(\w+)\.\*"', (PROJECT / "pyproject.toml").read_text(encoding="utf-8")))
    needs = [one.name for name in ("plain", "scripts", "check") for one in needed(name)]
    checked = {canonicalize_name(name).removeprefix("types-") for name in needs}
    read = (imported("models") | imported("scripts")) - skipped
    assert [module for module in read if not checked & providers(module)] == []
