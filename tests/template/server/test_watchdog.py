"""The server ends if its worker dies, and only then: a small predictor in the real server."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

import psutil
import pytest

from tests.serving import serving_class
from tests.template.server.live_server import LiveServer, eventually

SECONDS = 5
PREDICTOR = """
import os, time
from cog import BasePredictor, ConcatenateIterator, streaming
from models import watchdog

class TextGeneration(BasePredictor):
    def setup(self) -> None:
        {setup}

    @streaming
    def predict(self, prompt: str = "") -> ConcatenateIterator[str]:
        yield "first"
        time.sleep(60)
"""
MESSAGE = "the worker, which runs the model, has died"
Running = Callable[..., AbstractContextManager[tuple[str, "subprocess.Popen[bytes]"]]]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[IO[bytes]]:
    with open(tmp_path / "log", "w+b") as log:
        yield log


@pytest.fixture
def running(tmp_path: Path, log: IO[bytes]) -> Running:
    """Serves the predictor with this setup."""
    return lambda setup: serving_class(PREDICTOR.format(setup=setup), tmp_path, log=log)


def kill_worker(server: int) -> None:
    """Kill, with SIGKILL, the process in which the model runs."""
    (worker,) = psutil.Process(server).children()
    worker.kill()


def text_of(log: IO[bytes]) -> str:
    log.seek(0)
    return log.read().decode()


@pytest.mark.slow
def test_without_the_watchdog_the_runtime_keeps_running_without_a_worker(running: Running):
    """When this fails, the runtime ends by itself or starts a new worker: models/watchdog.py can be deleted.

    It waits as long as the watchdog may take.
    """
    with running("pass") as (address, process):
        server = LiveServer(address)
        kill_worker(process.pid)
        eventually(lambda: server.health() == "UNHEALTHY", "UNHEALTHY")
        server.post()  # the response is 200, failed
        eventually(lambda: server.post().status_code == 409, "409")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(SECONDS)


def test_the_server_ends_when_its_worker_has_died_and_callers_get_an_error(running: Running, log: IO[bytes]):
    with running("watchdog.install()") as (address, process):
        with LiveServer(address).stream() as stream:
            stream.until("output")
            kill_worker(process.pid)
            assert stream.until("completed")["status"] == "failed"
        assert process.wait(SECONDS) != 0
    assert MESSAGE in text_of(log)


def test_the_server_ends_even_if_a_child_of_the_worker_survives(running: Running):
    with running("watchdog.install(); os.fork() or time.sleep(20) or os._exit(0)") as (_, process):
        kill_worker(process.pid)
        assert process.wait(SECONDS) != 0


@pytest.mark.slow
def test_a_normal_shutdown_is_not_treated_as_a_crash(running: Running, log: IO[bytes]):
    with running("watchdog.install()") as (_, process):
        family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        assert process.wait(SECONDS) == 0
        assert psutil.wait_procs(family, timeout=SECONDS)[1] == []
    assert MESSAGE not in text_of(log)
