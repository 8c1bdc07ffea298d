"""The behaviour of Cog's runtime: the three facts because of which models/cancellation.py exists.

A short predictor runs in the real server. It waits for a file that the test makes once it has seen the first
output, so that the order of events decides, not a clock.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from models import manifest
from models.weights import PROJECT
from scripts.contract import schema
from scripts.serving import local_server
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
Serve = Callable[..., AbstractContextManager[LiveServer]]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Serves a predictor with the given body from `tmp_path`."""
    monkeypatch.setattr(local_server, "PROJECT", tmp_path)
    monkeypatch.setattr(schema, "PROJECT", tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))

    @contextmanager
    def serving(body: str, setup: str = "pass") -> Iterator[LiveServer]:
        body = body.strip().replace("{wait}", str(WAIT_SECONDS))
        (tmp_path / "predict.py").write_text(PREDICTOR.format(setup=setup, body=body, wait=WAIT_SECONDS))
        with local_server.running(manifest.selected()) as (address, _):
            yield LiveServer(address)

    return serving


def chunks_when_the_gate_opens_after_the_first(server: LiveServer, gate: Path) -> list[str]:
    with server.stream() as stream:
        stream.until("output")
        gate.touch()
        assert stream.until("completed")["status"] == "succeeded"
    return stream.chunks


@pytest.mark.slow
def test_an_async_generator_does_not_stream(serve: Serve, tmp_path: Path):
    """When this fails, the runtime streams async generators: text generation can be one, and
    models/cancellation.py can be deleted.
    """
    with serve(ASYNC_GENERATOR) as server:
        chunks = chunks_when_the_gate_opens_after_the_first(server, tmp_path / "gate")
    assert chunks == ["first", "the gate stayed shut"]


def test_an_async_function_that_returns_a_generator_streams(serve: Serve, tmp_path: Path):
    with serve(SYNC_GENERATOR) as server:
        chunks = chunks_when_the_gate_opens_after_the_first(server, tmp_path / "gate")
    assert chunks == ["first", "the gate was open"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setup", "status", "end"),
    [("pass", "succeeded", "reached"), ("cancellation.install()", "canceled", "cancelled")],
)
def test_cancel_interrupts_a_returned_generator_only_once_installed(
    serve: Serve, tmp_path: Path, setup: str, status: str, end: str
):
    with serve(SYNC_GENERATOR, setup) as server, server.stream() as stream:
        stream.until("output")
        stream.cancel()
        assert stream.until("completed")["status"] == status
    assert (tmp_path / "end").read_text() == end
