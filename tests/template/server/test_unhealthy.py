"""Every client of this project stops with one sentence at a server that is UNHEALTHY, and does not wait forever."""

import io
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from scripts import soak
from scripts.benchmark import load
from scripts.calling.client import PredictionRequest
from scripts.calling.cog_server import CogServer
from scripts.calling.display import Display
from scripts.fuzzing import cases, probe
from scripts.serving import local_server, predicting
from tests.serving import serving_class
from tests.template.server.live_server import LiveServer, eventually

PREDICTOR = """
from cog import BasePredictor, ConcatenateIterator, Input, streaming

class TextGeneration(BasePredictor):
    @streaming
    def predict(self, prompt: str = Input(default="Hi", description="Anything.")) -> ConcatenateIterator[str]:
        yield prompt
"""
SECONDS = 10


@dataclass(frozen=True)
class Unhealthy:
    """A server whose worker was killed, and a client that used it before."""

    address: str
    process: "subprocess.Popen[bytes]"
    caller: CogServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Unhealthy]:
    with serving_class(PREDICTOR, tmp_path_factory.mktemp("unhealthy")) as (address, process):
        caller = CogServer(address)
        (worker,) = psutil.Process(process.pid).children()
        worker.kill()
        live = LiveServer(address)
        eventually(lambda: live.post().status_code == 409, "409")
        assert live.health() == "UNHEALTHY"
        yield Unhealthy(address, process, caller)


def fuzzed(server: Unhealthy) -> None:
    """The result of a fuzz, as the error that other clients raise."""
    report = probe.run(server.address, [cases.Case("plain", {}, "valid")], server.caller.document, slots=1, settle=1)
    raise local_server.ServerError(report.failures[-1].reason)


LOAD = load.Load([], streams=True)
USES = soak._Uses(lambda choices: {"prompt": "Hi"}, bad=[], streams=True)
CLIENTS: dict[str, Callable[[Unhealthy], Any]] = {
    "predict, serve": lambda server: local_server.wait_until_ready(server.address, server.process),
    "bench, fuzz": lambda server: local_server.check_served(server.address),
    "call": lambda server: CogServer(server.address),
    "call, while it waits for a slot": lambda server: server.caller.run(PredictionRequest({}), Display()),
    "bench, while it waits for a slot": lambda server: load.run(server.address, [{"prompt": "Hi"}], LOAD),
    "soak, at work": lambda server: soak._all_clients(server.address, USES, 2, 1, _memory(server)),
    "soak, while it waits for slots": lambda server: soak._wait_until_idle(server.address, {"prompt": "Hi"}, 1),
    "proof": lambda server: predicting.wait_until_ready(server.address),
    "fuzz": fuzzed,
}


def _memory(server: Unhealthy) -> soak._Memory:
    return soak._Memory(psutil.Process(server.process.pid))


@pytest.mark.slow
@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS.keys())
def test_a_client_is_refused_with_one_sentence(
    server: Unhealthy, client: Callable[[Unhealthy], Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(load, "_CHECK_SECONDS", 0)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    refusals: list[str] = []

    def use() -> None:
        with pytest.raises(local_server.ServerError) as refusal:
            client(server)
        refusals.append(str(refusal.value))

    user = threading.Thread(target=use, daemon=True)
    user.start()
    user.join(SECONDS)
    (message,) = refusals
    assert "UNHEALTHY" in message
    assert "\n" not in message
