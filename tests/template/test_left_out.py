"""`make test` says how many tests it left out, and tests of containers run in two processes at most."""

import sys
from pathlib import Path

import pytest

from tests import commands
from tests.conftest import ByFile

TESTS = """
import pytest
@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2])
def test_slow(number): pass
@pytest.mark.container
def test_container(): pass
def test_quick(): pass
"""


@pytest.mark.slow
def test_the_tests_that_are_left_out_are_counted_and_named_by_their_kind(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(TESTS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", "pyproject.toml", "-p", "tests.conftest"]
    options = ["--numprocesses", "2", "--dist", "loadfile", "-m", "not container and not slow"]
    output = commands.succeed(*command, *options, str(tmp_path))
    assert "1 passed" in output
    assert "left out: 2 slow tests and 1 of containers; make test-all runs them too" in output


def test_containers_and_releases_are_for_one_process_each_and_others_for_one_each_file() -> None:
    scope = ByFile.__new__(ByFile)._split_scope
    of_containers = ["tests/fork/test_container.py::test_a", "tests/template/container/test_b.py::test_c[d::e]"]
    of_containers.append("tests/template/test_your_model.py::test_a[b]")
    of_releases = [
        "tests/template/container/test_release_cut.py::test_a",
        "tests/template/container/test_push.py::test_b",
    ]
    assert {scope(name) for name in of_containers} == {"containers"}
    assert {scope(name) for name in of_releases} == {"releases"}
    others = [
        "tests/template/test_a.py::test_b",
        "tests/template/test_a.py::test_c",
        "tests/template/test_d.py::test_b",
    ]
    assert [scope(name) for name in others] == [name.partition("::")[0] for name in others]
