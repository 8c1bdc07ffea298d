"""The files that Cog's runtime leaves behind are removed when nobody needs them any more."""

import os
import subprocess
import sys
import time
from pathlib import Path

from models import leftovers
from models.leftovers import FILE_SECONDS, FOLDER_SECONDS
from tests.template.server.live_server import LiveServer

NOW = 1_800_000_000.0


def prediction(folder: Path, name: str, begun: float, written: float | None = None) -> Path:
    """The folder of a prediction as the runtime makes it; `written`: when its output was."""
    made = folder / name
    for part in ("inputs", "outputs"):
        (made / part).mkdir(parents=True)
    if written is not None:
        output = made / "outputs" / "0.bin"
        output.write_bytes(b"an image")
        os.utime(output, (written, written))
    os.utime(made, (begun, begun))
    return made


def test_the_runtime_leaves_a_folder_and_an_old_one_is_removed(server: LiveServer) -> None:
    id = server.predict(prompt="Hi", max_tokens=1)["id"]
    left = leftovers.FOLDER / id
    assert (left / "outputs").is_dir(), "the runtime removes it by itself: delete models/leftovers.py"
    command = [sys.executable, "-I", "-S", leftovers.__file__]
    subprocess.run(command, check=True)
    assert left.exists()
    an_age_ago = time.time() - FOLDER_SECONDS - 1
    os.utime(left, (an_age_ago, an_age_ago))
    subprocess.run(command, check=True)
    assert not left.exists()


def test_the_file_of_an_output_is_removed_before_the_folder_of_its_prediction(tmp_path: Path) -> None:
    running = prediction(tmp_path, "running", NOW - FOLDER_SECONDS + 1, written=NOW - FILE_SECONDS - 1)
    fresh = prediction(tmp_path, "fresh", NOW - FILE_SECONDS, written=NOW - FILE_SECONDS + 1)
    leftovers.remove(tmp_path, NOW)
    assert (running / "outputs").is_dir()
    assert not list((running / "outputs").iterdir())
    assert (fresh / "outputs" / "0.bin").is_file()


def test_of_too_many_folders_the_oldest_are_removed_unless_they_are_young(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(leftovers, "MOST_FOLDERS", 2)
    ages = {"oldest": FILE_SECONDS + 3, "old": FILE_SECONDS + 2, "kept": FILE_SECONDS + 1, "young": 1}
    for name, age in ages.items():
        prediction(tmp_path, name, NOW - age)
    leftovers.remove(tmp_path, NOW)
    assert {path.name for path in tmp_path.iterdir()} == {"kept", "young"}
    monkeypatch.setattr(leftovers, "MOST_FOLDERS", 0)
    leftovers.remove(tmp_path, NOW)
    assert {path.name for path in tmp_path.iterdir()} == {"young"}


def test_a_folder_that_does_not_exist_yet_is_no_error(tmp_path: Path) -> None:
    leftovers.remove(tmp_path / "none", NOW)
