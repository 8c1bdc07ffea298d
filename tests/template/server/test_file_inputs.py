"""A cancel in the first moment of a prediction with a file: the reason for models/file_inputs.py, and its effect."""

import sys
import uuid
from pathlib import Path

import pytest

from scripts.calling.cancelling import cancel
from scripts.cli import connection, waiting
from tests.serving import serving_class
from tests.template.server.live_server import LiveServer

PREDICTOR = """
from cog import BasePredictor, Path
from models import file_inputs

class TextGeneration(BasePredictor):
    def setup(self) -> None:
        {setup}

    def predict(self, file: Path) -> str:
        return file.read_text()
"""
FILE = "data:text/plain;base64,c2FsdA=="
CANCELS = 150
SECONDS = 8


def hangs(setup: str, folder: Path) -> bool:
    """Whether one of many predictions that are cancelled at once never ends."""
    with serving_class(PREDICTOR.format(setup=setup), folder) as (address, _):
        server = LiveServer(address)
        for _ in range(CANCELS):
            url = f"{address}/predictions/{uuid.uuid4().hex}"
            body, headers = {"input": {"file": FILE}}, {"Prefer": "respond-async"}
            answer = connection.ask("PUT", url, json=body, headers=headers, timeout=60)
            assert answer.status_code == 202
            if not cancel([url], SECONDS) or not waiting.until(lambda: server.health() == "READY", SECONDS):
                return True
        assert server.predict(file=FILE)["output"] == "salt"
    return False


@pytest.mark.slow
def test_a_cancel_at_once_frees_the_slot(tmp_path: Path):
    assert not hangs("file_inputs.install()", tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="a new thread has a number of its own from Python 3.12 on")
def test_without_it_the_slot_is_lost(tmp_path: Path):
    """When this fails, the runtime cancels without hanging: models/file_inputs.py can be deleted."""
    assert hangs("pass", tmp_path)
