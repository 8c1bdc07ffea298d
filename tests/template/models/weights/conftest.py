"""Shared fixtures of these tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.hub import Hub
from tests.template.models.weights.project import Project


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub


@pytest.fixture
def project(hub: Hub, tmp_path: Path) -> Project:
    """A project with the weights of org/name on the local Hub."""
    project = Project(tmp_path / "project", HF_ENDPOINT=hub.endpoint)
    project.model("hf://org/name@main")
    return project
