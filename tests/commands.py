"""Runs commands in tests, and skips or fails a test if a command is missing."""

import os
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

from models.manifest import PROJECT


def skip_or_fail(what: str, remedy: str = "make doctor says how to get what the container needs") -> NoReturn:
    """Skip the test because `what` is missing; with CONTAINER_TESTS=required fail it."""
    reason = f"this machine lacks {what}; {remedy}"
    if os.environ.get("CONTAINER_TESTS") == "required":
        pytest.fail(f"CONTAINER_TESTS=required, but {reason}", pytrace=False)
    pytest.skip(reason)


def run(*command: str, cwd: Path = PROJECT, seconds: float = 300, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command, its output captured; `variables` are added to the environment.

    Without make's own variables: under `make test` they would make a nested `make` print its folder to standard output.
    """
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
    )


def succeed(*command: str, cwd: Path = PROJECT, seconds: float = 300, **variables: str) -> str:
    """The standard output of a command, which must exit with 0."""
    done = run(*command, cwd=cwd, seconds=seconds, **variables)
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
