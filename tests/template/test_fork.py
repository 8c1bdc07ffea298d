"""A fork with its own model and without the examples: its tests pass, and report what they leave out."""

import shutil
from pathlib import Path

import pytest

from models import manifest
from tests.template import toy


@pytest.mark.slow
def test_the_tests_pass_in_a_fork_with_only_its_own_model(tmp_path: Path) -> None:  # 20 s: a server, and all its tests
    toy.copy_project(tmp_path)
    toy.add_to(tmp_path)
    for slug in manifest.slugs():
        shutil.rmtree(tmp_path / "models" / "catalog" / slug)
    toy.succeed(tmp_path, "make", "render")
    toy.succeed(tmp_path, ".venv/bin/python", "-m", "scripts.render", "--check")
    tested = toy.succeed(
        tmp_path, ".venv/bin/python", "-m", "pytest", "-m", "not container", "tests/fork", "tests/template"
    )
    assert "tests/template is left out: smollm2-135m-instruct, with which it tests, was removed" in tested
    assert "word-counter on plain" in tested
    assert " passed" in tested
    assert "failed" not in tested
