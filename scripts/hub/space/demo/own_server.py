"""Runs the model in the Space: starts the Cog server of the Space's folder, and uses it through Cog's HTTP."""

import asyncio
import atexit
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import httpx

from .cog_server import CogServer
from .prediction import Prediction, Refusal

_HOST = "127.0.0.1"
_PAUSE = 0.2  # seconds
_PORTS = range(20_000, 32_768)


class OwnServer(CogServer):
    """A Cog server that loads the model in `folder`. If it has ended, the next prediction starts it again.

    `variables`: for its environment. `example_address`: where `cog serve` and a container offer the same server.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str], streams: bool) -> None:
        super().__init__(f"http://{_HOST}:{_free_port()}", streams)
        self.example_address = "http://localhost:5000"
        self._folder, self._variables = folder, variables
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))  # so that functions registered with atexit run
        self._start()

    async def run(self, inputs: dict[str, Any]) -> AsyncGenerator[Prediction, None]:
        if self._process.poll() is not None:
            self._start()
        while not await self._answers():
            if self._process.poll() is not None:
                raise Refusal(f"the model's server ended with exit code {self._process.returncode}: its log says why")
            yield Prediction(note="The model's server is starting")
            await asyncio.sleep(_PAUSE)
        async for prediction in super().run(inputs):
            yield prediction

    def _start(self) -> None:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        variables = {"PATH": path, "PORT": str(httpx.URL(self.address).port), "COG_LOG_LEVEL": "warn"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cog.server.http", "--host", _HOST],
            cwd=self._folder,
            env={**os.environ, **variables, **self._variables},
            stdin=subprocess.DEVNULL,
        )
        atexit.register(self._process.terminate)

    async def _answers(self) -> bool:
        async with self._client() as client:
            try:
                await client.get("/health-check")
            except httpx.HTTPError:
                return False
            return True


def _free_port() -> int:
    """Not one that systems give to whoever asks for any, from 32768 on: others might get it meanwhile."""
    return next(port for port in random.Random().sample(_PORTS, len(_PORTS)) if _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
        return True
