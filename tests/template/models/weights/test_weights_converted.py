"""Files that are made from weights: completely or not at all, from the locked source, and once for the same weights."""

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from models import manifest, weights
from models.errors import WeightsError
from models.manifest import Manifest
from tests.template.models.weights.tiny import CHOICE, CONVERTER, SLUG, convert, flip_a_bit, leftovers

KILLED = """
import os, pathlib, signal, sys
from models.weights import files
with files.new_folder(pathlib.Path(sys.argv[1])) as folder:
    (folder / "half.bin").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


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
