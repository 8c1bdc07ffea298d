"""Commands that tests run to their end, and what becomes of a test where one is lacking."""

import os
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

from models.weights import PROJECT


def skip_or_fail(what: str, remedy: str = "make doctor says how to get what the container needs") -> NoReturn:
    """Skip the test for want of `what`; with CONTAINER_TESTS=required fail it."""
    reason = f"this machine lacks {what}; {remedy}"
    if os.environ.get("CONTAINER_TESTS") == "required":
        pytest.fail(f"CONTAINER_TESTS=required, but {reason}", pytrace=False)
    pytest.skip(reason)


def run(*command: str, cwd: Path = PROJECT, seconds: float = 300, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command, its output captured; `variables` are added to the environment.

    Under `make test`, make's own variables would have a command's `make` announce its folder on standard output.
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
    """What a command prints to standard output; it must exit with 0."""
    done = run(*command, cwd=cwd, seconds=seconds, **variables)
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
