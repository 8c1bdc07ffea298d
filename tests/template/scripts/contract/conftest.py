"""Schemas of small classes."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.template.scripts.contract.contracts import write


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """The schema of a predict.py with these parameters, output and decorator."""
    return functools.partial(write, tmp_path)
