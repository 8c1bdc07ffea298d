"""Cog's local server: what is prepared before it starts."""

import stat
from pathlib import Path

import pytest

from models import manifest
from scripts.serving import local_server
from scripts.serving.local_server import ServerError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(local_server, "PREDICTIONS", tmp_path / "coglet" / "predictions")
    return local_server.PREDICTIONS


def test_every_user_can_write_to_cogs_folder_of_predictions(folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o755)
    with local_server.running(manifest.selected()):
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, folder)]
    assert modes == [0o1777, 0o1777]


def test_a_user_who_cannot_write_there_is_told_what_to_do(folder: Path) -> None:
    folder.parent.write_text("in the way")
    with pytest.raises(ServerError, match=f"this user may not write there: sudo chmod 1777 {folder.parent} {folder}"):
        local_server.start(manifest.selected(), local_server.free_port(), None)
