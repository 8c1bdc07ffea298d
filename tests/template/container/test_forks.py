"""docs/your-model.md, followed word for word: the containers of its forks."""

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.template import your_model
from tests.template.your_model import MODELS

from . import host


@pytest.fixture(scope="module", autouse=True)
def images_are_removed(engine: docker.DockerClient) -> Iterator[None]:
    with host.without_torch(engine, *(f"{name}:cpu" for name in MODELS)):
        yield


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_container_of_a_fork_answers_and_passes_what_a_push_tries(name: str, tmp_path: Path) -> None:
    _, _, *in_a_container = MODELS[name]
    with your_model.forked(name, tmp_path) as fork:
        for line in in_a_container:
            output = fork.types(line)
        assert output.strip()
        tests = "CONTAINER_TESTS=required .venv/bin/python -m pytest -q tests/fork/test_container.py"
        assert "1 passed" in fork.types(tests)
