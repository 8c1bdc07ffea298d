"""The behaviour of Cog's runtime: the three facts because of which models/cancellation.py exists.

A short predictor runs in the real server. It waits for a file that the test makes once it has seen the first
output, so that the order of events decides, not a clock.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.serving import serving_class
from tests.template.server.live_server import LiveServer

WAIT_SECONDS = 2
PREDICTOR = """
import asyncio, pathlib, threading, time
from cog import AsyncConcatenateIterator, BasePredictor, concurrent, streaming
from models import cancellation

GATE, END = pathlib.Path("gate"), pathlib.Path("end")

class TextGeneration(BasePredictor):
    def setup(self) -> None:
        {setup}

    @streaming
    @concurrent(max=2)
    async def predict(self, prompt: str = "") -> AsyncConcatenateIterator[str]:
        {body}

def continue_until(cancelled):
    yield "first"
    for _ in range({wait} * 50):
        if GATE.exists() or cancelled.wait(0.02):
            break
    if cancelled.is_set():
        END.write_text("cancelled")
        raise asyncio.CancelledError
    END.write_text("reached")
    yield "the gate was open" if GATE.exists() else "the gate stayed shut"
"""
ASYNC_GENERATOR = """
        yield "first"
        for _ in range({wait} * 50):
            if GATE.exists():
                break
            await asyncio.sleep(0.02)
        yield "the gate was open" if GATE.exists() else "the gate stayed shut"
"""
SYNC_GENERATOR = """
        cancelled = threading.Event()
        cancellation.current().listen(cancelled.set)
        return continue_until(cancelled)
"""


@contextmanager
def serving(body: str, folder: Path, setup: str = "pass") -> Iterator[LiveServer]:
    """Serves a predictor with the given body from `folder`."""
    body = body.strip().replace("{wait}", str(WAIT_SECONDS))
    with serving_class(PREDICTOR.format(setup=setup, body=body, wait=WAIT_SECONDS), folder) as (address, _):
        yield LiveServer(address)


def chunks_when_the_gate_opens_after_the_first(server: LiveServer, gate: Path) -> list[str]:
    with server.stream() as stream:
        stream.until("output")
        gate.touch()
        assert stream.until("completed")["status"] == "succeeded"
    return stream.chunks


@pytest.mark.slow
def test_an_async_generator_does_not_stream(tmp_path: Path):
    """When this fails, the runtime streams async generators: text generation can be one, and
    models/cancellation.py can be deleted.
    """
    with serving(ASYNC_GENERATOR, tmp_path) as server:
        chunks = chunks_when_the_gate_opens_after_the_first(server, tmp_path / "gate")
    assert chunks == ["first", "the gate stayed shut"]


def test_an_async_function_that_returns_a_generator_streams(tmp_path: Path):
    with serving(SYNC_GENERATOR, tmp_path) as server:
        chunks = chunks_when_the_gate_opens_after_the_first(server, tmp_path / "gate")
    assert chunks == ["first", "the gate was open"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setup", "status", "end"),
    [("pass", "succeeded", "reached"), ("cancellation.install()", "canceled", "cancelled")],
)
def test_cancel_interrupts_a_returned_generator_only_once_installed(tmp_path: Path, setup: str, status: str, end: str):
    with serving(SYNC_GENERATOR, tmp_path, setup) as server, server.stream() as stream:
        stream.until("output")
        stream.cancel()
        assert stream.until("completed")["status"] == status
    assert (tmp_path / "end").read_text() == end
