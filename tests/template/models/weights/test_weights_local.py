"""Weights on this machine: a folder or a file, locked by their hashes and copied."""

from pathlib import Path

import pytest

from tests.template.models.weights.project import Project, safetensors

FILES = {"config.json": b"{}", "model.safetensors": safetensors(100_000)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    (folder / "deep").mkdir(parents=True)
    for name, content in {**FILES, "train.py": b"code", "deep/config.json": b"{}"}.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def project(folder: Path, tmp_path: Path) -> Project:
    project = Project(tmp_path / "project")
    project.model(f"file:{folder}")
    return project


def test_a_folder_is_locked_and_copied(project: Project) -> None:
    project.does("weights_lock")
    assert list(project.locked()["files"]) == list(FILES)
    project.does("weights")
    assert project.files == FILES
    assert sorted(path.name for path in project.weights.iterdir()) == [".lock", ".source.json", "source"]


def test_other_weights_of_the_same_size_take_the_place_of_the_old_ones(project: Project, folder: Path) -> None:
    project.does("weights_lock")
    project.does("weights")
    trained_again = FILES["model.safetensors"][:-1] + b"!"
    (folder / "model.safetensors").write_bytes(trained_again)
    project.does("weights_lock")
    project.does("weights")
    assert project.files["model.safetensors"] == trained_again


@pytest.mark.parametrize("name", ["model.safetensors", "model [1].safetensors"])
def test_a_file_is_locked_and_copied(project: Project, folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder / name)
    project.model(f"file:../mine/{name}")
    project.does("weights_lock")
    project.run("weights")
    assert project.files == {name: FILES["model.safetensors"]}


def test_changed_or_removed_files_are_refused(project: Project, folder: Path) -> None:
    project.does("weights_lock")
    (folder / "config.json").write_bytes(b"[]")
    assert project.refuses("weights").endswith("make weights-lock, if they have changed on purpose")
    (folder / "config.json").unlink()
    assert project.refuses("weights") == f"{folder}/config.json is gone: put it back, or: make weights-lock"
    assert project.files == {}


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("nowhere", "there is no "),
        ("mine/train.py", "train.py can run code"),
        ("mine/config.json", "no weights among the files"),
        ("mine/page.gguf", "page.gguf is not a GGUF file"),
    ],
)
def test_files_that_cannot_be_weights_are_not_locked(project: Project, folder: Path, source: str, says: str) -> None:
    (folder / "page.gguf").write_bytes(b"<html>")
    project.model(f"file:{folder.parent}/{source}")
    assert says in project.refuses("weights_lock")
    assert not project.lock.exists()


def test_a_tilde_stands_for_the_home_folder(project: Project, folder: Path) -> None:
    project.model("file:~/mine")
    project.does("weights_lock", HOME=str(folder.parent))
    project.does("weights", HOME=str(folder.parent))
    assert project.files == FILES
    project.model("file:~nobody-of-that-name/mine")
    assert "begins with no known home: correct weights.source" in project.refuses("weights_lock")


def test_files_that_macos_leaves_in_a_folder_are_not_weights(project: Project, folder: Path) -> None:
    (folder / "__MACOSX").mkdir()
    for name in ("._model.safetensors", "._config.json", ".DS_Store", "__MACOSX/._model.safetensors"):
        (folder / name).write_bytes(b"\x00\x05\x16\x07")
    project.model(f"file:{folder}", "*", "__MACOSX/*")
    (folder / "train.py").unlink()
    project.does("weights_lock")
    assert list(project.locked()["files"]) == list(FILES)
