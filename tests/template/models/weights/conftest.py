"""Shared fixtures of these tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from models import manifest, weights
from models.manifest import Manifest
from models.origin import Weights
from models.weights import lock, places
from tests.services.hub import Hub
from tests.template.models.weights.project import Project
from tests.template.models.weights.tiny import CHOICE, CONTENT, CONVERTER, SLUG, SOURCE, convert, write_lock


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


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """A manifest with this test's own weights, lock and folder; nothing is downloaded yet."""
    monkeypatch.setattr(places, "PROJECT", tmp_path)
    monkeypatch.setattr(lock, "CATALOG", tmp_path / "catalog")
    monkeypatch.delenv("WEIGHTS_ROOT", raising=False)
    model = manifest.selected().model_copy(update={"weights": Weights(source=SOURCE)})
    model._slug = SLUG
    (tmp_path / "catalog" / SLUG).mkdir(parents=True)
    write_lock(tmp_path, CONTENT)
    return model


@pytest.fixture
def source(model: Manifest) -> Path:
    """The downloaded file, which matches the lock."""
    path = weights.folder(SLUG, "source") / "model.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def made(model: Manifest, source: Path) -> Path:
    """The engine's folder, after a conversion."""
    weights.derive(model, CHOICE, CONVERTER, convert)
    return weights.folder(SLUG, "openvino")
