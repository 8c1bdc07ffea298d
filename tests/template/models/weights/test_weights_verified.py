"""Weights that are missing, incomplete, changed, or not those of their lock."""

import re
from pathlib import Path

import pytest

from models import manifest, weights
from models.errors import WeightsError
from models.manifest import Manifest
from models.weights import lock, places
from tests.template.models.weights.tiny import (
    CHOICE,
    CONTENT,
    CONVERTER,
    SLUG,
    SOURCE,
    described,
    flip_a_bit,
    write_lock,
)


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
