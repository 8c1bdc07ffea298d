"""The choice of the folder with the weights, if there are several, as in a container."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from models.weights import places

Mounted = Callable[[Path], None]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in a container of an image."""
    monkeypatch.setattr(places, "PROJECT", tmp_path)
    monkeypatch.setenv("WEIGHTS_ROOT", places.CONTAINER)
    return tmp_path


@pytest.fixture
def mount(monkeypatch: pytest.MonkeyPatch) -> Mounted:
    """Pretends that a path is the only mount point."""
    return lambda path: monkeypatch.setattr(os.path, "ismount", lambda asked: asked == path)


def test_by_default_the_only_folder_is_the_project_s_weights(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("WEIGHTS_ROOT")
    assert places.roots() == [project / "weights"]
    assert places.to_fill() == project / "weights"


def test_an_image_looks_first_into_baked_then_into_the_project_s_weights(project: Path):
    assert places.roots() == [project / "baked", project / "weights", Path("/weights")]
    assert places.are_baked()


def test_a_container_fetches_into_the_folder_where_a_volume_can_be_mounted(project: Path, mount: Mounted):
    assert places.to_fill() == Path("/weights")
    mount(Path("/weights"))
    assert places.to_fill() == Path("/weights")


def test_fetched_weights_stay_in_a_project_that_cog_mounted(project: Path, mount: Mounted):
    mount(project)
    assert places.to_fill() == project / "weights"


def test_a_settled_root_is_the_only_one(project: Path):
    places.settle(Path("/weights"))
    assert places.roots() == [Path("/weights")]
    assert not places.are_baked()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_files_made_by_root_in_a_container_belong_to_the_owner_of_the_project(project: Path):
    made = project / "weights" / "tiny" / "source" / "model.gguf"
    made.parent.mkdir(parents=True)
    made.touch()
    os.chown(project, 1234, 1234)
    places.give_to_owner(project / "weights", "tiny")
    assert {path.stat().st_uid for path in (made, made.parent, project / "weights")} == {1234}
