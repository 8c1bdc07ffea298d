"""On a machine without the tools for containers these tests are skipped with a reason; in CI they fail."""

import subprocess
import sys

import pytest

from tests import commands

MISSING = {
    "a running Docker engine": {"DOCKER_HOST": "unix:///nowhere.sock"},
    "the cog command": {"PATH": "/nowhere"},
}


def pytest_run(**variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/template/container/test_push.py"]
    return commands.run(*command, **variables)


@pytest.mark.parametrize("missing", MISSING)
def test_a_missing_tool_skips_with_a_reason(missing: str) -> None:
    result = pytest_run(CONTAINER_TESTS="", **MISSING[missing])
    assert result.returncode == 0, result.stdout
    assert f"this machine lacks {missing}" in result.stdout
    assert " passed" not in result.stdout


@pytest.mark.parametrize("missing", MISSING)
def test_a_missing_tool_fails_if_containers_are_required(missing: str) -> None:
    result = pytest_run(CONTAINER_TESTS="required", **MISSING[missing])
    assert result.returncode == 1, result.stdout
    assert f"CONTAINER_TESTS=required, but this machine lacks {missing}" in result.stdout
