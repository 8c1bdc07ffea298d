"""Runs predictions in containers of the real images, one for each version of each model or deployment, kept warm.

Replicate's lifecycle of a prediction: https://replicate.com/docs/topics/predictions/lifecycle; the container's own
HTTP, which differs from Replicate's: https://cog.run/http
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

import docker
import httpx
from httpx_sse import EventSource

from .replicate_prediction import Prediction

LABEL = "cog-template.local-replicate"
_SETUP_SECONDS = 300
_NEVER = httpx.Timeout(30, read=None)


class MachineError(Exception):
    """The container did not start, or ended; `logs` is its output."""

    def __init__(self, message: str, logs: str = "") -> None:
        super().__init__(message)
        self.logs = logs


class Machine:
    """One container, started for its first prediction. `predictions`: all that were ever sent to it."""

    def __init__(self, engine: docker.DockerClient, image: str, owner: str) -> None:
        self._engine, self._image, self._owner = engine, image, owner
        self._container: Any = None
        self._address = ""
        self._is_closed = False
        self._lock = threading.Lock()
        self.predictions: list[Prediction] = []

    def address(self) -> str:
        """The address of the container's server, once it is ready.

        Raises:
            MachineError: it does not start, or its setup fails.
        """
        with self._lock:
            if self._is_closed:
                raise MachineError("The machine was shut down")
            if not self._address:
                self._start()
            return self._address

    def replace(self, address: str) -> None:
        """Remove the container if it is still the one at `address`; the next prediction starts a new one."""
        with self._lock:
            if self._address == address:
                self._remove()

    def close(self) -> None:
        """Remove the container permanently, even while it starts."""
        self._is_closed = True
        self._remove()
        with self._lock:
            self._remove()

    def _remove(self) -> None:
        if (container := self._container) is not None:
            with suppress(docker.errors.APIError):
                container.remove(force=True)
        self._container, self._address = None, ""

    def _start(self) -> None:
        try:
            self._container = container = self._create()
            container.start()
            container.reload()
            address = f"http://127.0.0.1:{container.ports['5000/tcp'][0]['HostPort']}"
            self._wait_until_ready(container, address)
            self._address = address
        except (docker.errors.DockerException, OSError) as error:
            self._remove()
            raise MachineError(f"The container did not start: {error}") from error
        except MachineError:
            self._remove()
            raise

    def _create(self) -> Any:
        try:
            self._engine.images.get(self._image)
        except docker.errors.ImageNotFound:
            self._engine.images.pull(self._image)
        ports, labels = {"5000/tcp": ("127.0.0.1", None)}, {LABEL: self._owner}
        return self._engine.containers.create(self._image, ports=ports, labels=labels)

    def _wait_until_ready(self, container: Any, address: str) -> None:
        deadline = time.monotonic() + _SETUP_SECONDS
        while time.monotonic() < deadline and not self._is_closed:
            with suppress(httpx.TransportError):
                health = httpx.get(f"{address}/health-check", timeout=10).json()
                if health["status"] == "SETUP_FAILED":
                    raise MachineError("Model setup failed", health["setup"]["logs"])
                if health["status"] != "STARTING":
                    return
            container.reload()
            if container.status == "exited":
                raise MachineError("Model setup failed", container.logs().decode(errors="replace"))
            time.sleep(0.05)
        raise MachineError("Model setup did not end in time")


class Machines:
    """The machines of one local Replicate. None outlives it, and no other container is touched."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._machines: dict[tuple[str, str], Machine] = {}
        self._retired: list[Machine] = []
        self._is_closed = False
        self._lock = threading.Lock()

    @cached_property
    def _engine(self) -> docker.DockerClient:
        return docker.from_env(timeout=120)

    def run(self, prediction: Prediction, breakage: str | None) -> None:
        """Run a prediction to its end, in its own thread; `breakage`: an error that it fails with instead."""
        threading.Thread(target=self._run, args=(prediction, breakage), daemon=True).start()

    def retire(self, place: str, but: str) -> None:
        """Remove the machines of a `place` once their predictions have ended, except those of the version `but`."""
        with self._lock:
            gone = [key for key in self._machines if key[0] == place and key[1] != but]
            for machine in [self._machines.pop(key) for key in gone]:
                self._retired.append(machine)
                threading.Thread(target=_close_when_idle, args=(machine,), daemon=True).start()

    def close(self) -> None:
        """Remove all machines now, permanently."""
        with self._lock:
            self._is_closed = True
            machines = [*self._machines.values(), *self._retired]
        for machine in machines:
            machine.close()
        if machines:
            self._engine.close()

    def _machine_for(self, prediction: Prediction) -> Machine:
        version = prediction.version
        image = f"r8.im/{version.model}@sha256:{version.id}"
        with self._lock:
            if self._is_closed:
                raise MachineError("The machines were shut down")
            new = Machine(self._engine, image, self._owner)
            machine = self._machines.setdefault((prediction.place, version.id), new)
            machine.predictions.append(prediction)
            return machine

    def _run(self, prediction: Prediction, breakage: str | None) -> None:
        if breakage is not None:
            prediction.start()
            return prediction.end("failed", breakage, {"predict_time": 0.001})
        try:
            machine = self._machine_for(prediction)
            address = machine.address()
        except MachineError as error:
            return prediction.end("failed", str(error), logs=error.logs)
        try:
            _predict(address, prediction)
        except httpx.TransportError as error:
            machine.replace(address)
            prediction.end("failed", f"The machine went away: {error}")


def _close_when_idle(machine: Machine) -> None:
    for prediction in machine.predictions:
        prediction.wait(_SETUP_SECONDS)
    machine.close()


def _predict(address: str, prediction: Prediction) -> None:
    """Send a prediction to a container; while all its slots are taken, the prediction queues here, as on Replicate."""
    url = f"{address}/predictions/{prediction.id}"
    is_over = threading.Event()
    threading.Thread(target=_pass_cancel_on, args=(url, prediction, is_over), daemon=True).start()
    headers = {"Accept": "text/event-stream"} if prediction.version.streams else {}
    body = {"input": prediction.as_json()["input"]}
    try:
        while not prediction.has_ended:
            with (
                _accepted_soon(prediction),
                httpx.stream("PUT", url, json=body, headers=headers, timeout=_NEVER) as response,
            ):
                if response.status_code == 200:
                    return _follow(response, prediction)
                if response.status_code != 409:
                    return prediction.end("failed", response.read().decode(errors="replace"))
            time.sleep(0.05)
    finally:
        is_over.set()


@contextmanager
def _accepted_soon(prediction: Prediction) -> Iterator[None]:
    """Without a stream Cog sends nothing until the end, but refuses at once: one not refused by now is running."""
    timer = threading.Timer(0.3, prediction.start)
    if not prediction.version.streams:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _follow(response: httpx.Response, prediction: Prediction) -> None:
    if not prediction.version.streams:
        body = json.loads(response.read())
        prediction.start()
        for chunk in body.get("output") or [] if "stream" in prediction.as_json()["urls"] else []:
            prediction.add_output(chunk)
        return _complete(body, prediction)
    for event in EventSource(response).iter_sse():
        data = json.loads(event.data)
        if event.event == "start":
            prediction.start()
        elif event.event == "output":
            prediction.add_output(data["chunk"])
        elif event.event == "log":
            prediction.add_logs(data["data"])
        elif event.event == "completed":
            _complete(data, prediction)
    prediction.end("failed", "The model's server ended the stream before the prediction was complete")


def _complete(body: dict[str, Any], prediction: Prediction) -> None:
    """Finish with Cog's own response: its status, output, logs, error and metrics."""
    more = {name: body[name] for name in ("output", "logs") if name in body}
    prediction.end(body["status"], body.get("error"), body.get("metrics", {}), **more)


def _pass_cancel_on(url: str, prediction: Prediction, is_over: threading.Event) -> None:
    """Cancel the prediction in its container, once that is requested; repeat until it has stopped."""
    while not is_over.is_set():
        if prediction.canceling.wait(0.2):
            with suppress(httpx.TransportError):
                httpx.post(f"{url}/cancel", timeout=10)
            is_over.wait(0.1)
