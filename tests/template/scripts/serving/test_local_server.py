"""Cog's local server: what is prepared before it starts."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from models import leftovers, manifest
from scripts.contract import schema
from scripts.serving import local_server
from scripts.serving.local_server import ServerError

PREDICTORS = """
import time
from cog import BasePredictor

class TextGeneration(BasePredictor):
    def setup(self) -> None:
        time.sleep(1)

    def predict(self, prompt: str) -> str:
        return prompt

class TextEmbedding(BasePredictor):
    def predict(self, text: str) -> str:
        return text
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(leftovers, "FOLDER", tmp_path / "coglet" / "predictions")
    return leftovers.FOLDER


def test_every_user_can_write_to_cogs_folder_of_predictions(folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o755)
    local_server.stop(local_server.start(manifest.selected(), local_server.free_port(), None))
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, folder)] == [0o1777, 0o1777]


def test_a_user_who_cannot_write_there_is_told_what_to_do(folder: Path) -> None:
    folder.parent.write_text("in the way")
    with pytest.raises(ServerError, match=f"this user may not write there: sudo chmod 1777 {folder.parent} {folder}"):
        local_server.start(manifest.selected(), local_server.free_port(), None)


def test_servers_of_two_classes_that_start_at_once_each_have_their_own_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "predict.py").write_text(PREDICTORS)
    for module in (local_server, schema):
        monkeypatch.setattr(module, "PROJECT", tmp_path)

    def served(slug: str) -> bytes:
        with local_server.running(manifest.load(slug)) as (address, _):
            return httpx.get(f"{address}/openapi.json").content

    with ThreadPoolExecutor() as pool:
        served_at_once = list(pool.map(served, ["smollm2-135m-instruct", "all-minilm-l6-v2"]))
    assert list(map(json.loads, served_at_once)) == [
        schema.generate(name) for name in ("TextGeneration", "TextEmbedding")
    ]
