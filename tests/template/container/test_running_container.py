"""A running container over HTTP: streaming, cancelling, refusing, and the examples of the manifest."""

import json
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
from httpx_sse import EventSource

from models.manifest import PROJECT, Manifest
from scripts.contract import schema
from tests import commands

from . import host

# Greedy counting continues: it does not end soon by itself.
COUNTING = {"prompt": "1 2 3 4 5 6 7 8 9 10", "raw": True, "temperature": 0, "max_tokens": 4000}


class Stream:
    """A streaming prediction, read up to its first output."""

    def __init__(self, address: str, response: httpx.Response, name: str) -> None:
        self._url, self.response = f"{address}/predictions/{name}", response
        self.events = EventSource(response).iter_sse()
        self.first = next(event for event in self.events if event.event == "output")

    def cancel(self) -> None:
        assert httpx.post(f"{self._url}/cancel").status_code == 200

    def drop(self) -> None:
        self.response.close()

    def completed(self) -> dict[str, Any]:
        """The prediction in the last event."""
        last = next(event for event in self.events if event.event == "completed")
        result: dict[str, Any] = json.loads(last.data)
        return result


@contextmanager
def streaming(address: str, inputs: dict[str, Any]) -> Iterator[Stream]:
    name = uuid.uuid4().hex
    headers = {"Accept": "text/event-stream"}
    with httpx.stream(
        "PUT", f"{address}/predictions/{name}", json={"input": inputs}, headers=headers, timeout=60
    ) as response:
        assert response.status_code == 200, response.read()
        yield Stream(address, response, name)


def predict(address: str, inputs: dict[str, Any]) -> httpx.Response:
    return httpx.post(f"{address}/predictions", json={"input": inputs}, timeout=120)


@pytest.fixture
def idle(address: str) -> Iterator[str]:
    """The container's address; at the end of the test a slot must be free."""
    yield address
    host.health_once(address, "READY", seconds=60)


def test_output_arrives_during_the_prediction(idle: str) -> None:
    with streaming(idle, COUNTING) as stream:
        assert json.loads(stream.first.data)["chunk"]
        stream.cancel()
        assert stream.completed()["status"] == "canceled"


@pytest.mark.parametrize("end", [Stream.cancel, Stream.drop], ids=["an HTTP cancel", "a dropped connection"])
def test_a_cancelled_prediction_frees_its_slot(end: Any, idle: str, model: Manifest) -> None:
    one_token = COUNTING | {"max_tokens": 1}
    with ExitStack() as stack:
        slots = schema.max_concurrency(model.predictor_class)
        streams = [stack.enter_context(streaming(idle, COUNTING)) for _ in range(slots)]
        assert predict(idle, one_token).status_code == 409
        end(streams[0])
        assert _accepted(idle, one_token)["status"] == "succeeded"
        for stream in streams[1:]:
            stream.drop()


def _accepted(address: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """The prediction, once a slot accepts it; if COUNTING still took all slots, none would in this time."""
    deadline = time.monotonic() + 5
    while (response := predict(address, inputs)).status_code == 409:
        assert time.monotonic() < deadline, "no slot became free"
        time.sleep(0.05)
    result: dict[str, Any] = response.json()
    return result


def test_a_wrong_input_is_refused_by_name(address: str) -> None:
    response = predict(address, {"prompt": "Hi", "temperature": 9})
    assert response.status_code == 422
    assert [problem["loc"][-1] for problem in response.json()["detail"]] == ["temperature"]


def test_setup_refuses_weights_with_one_flipped_bit_if_every_byte_is_verified(
    engine: docker.DockerClient, cpu_image: str, model: Manifest, tmp_path: Path
) -> None:
    name = f"{model.slug}/openvino/openvino_model.bin"
    record = json.loads((PROJECT / "weights" / model.slug / "openvino" / "derived.json").read_text())
    damaged = tmp_path / "openvino_model.bin"
    shutil.copyfile(PROJECT / "weights" / name, damaged)
    with open(damaged, "r+b") as file:
        file.seek(1_000_000)
        byte = file.read(1)[0]
        file.seek(1_000_000)
        file.write(bytes([byte ^ 1]))
    found = commands.succeed("sha256sum", str(damaged)).split()[0]

    mount = docker.types.Mount(f"/src/baked/{name}", str(damaged), type="bind", read_only=True)
    with host.container(engine, cpu_image, [mount], VERIFY_WEIGHTS="full") as server:
        logs = host.health_once(server, "SETUP_FAILED", seconds=60)["setup"]["logs"]
    expected = record["files"]["openvino_model.bin"]["sha256"]
    assert f"/src/baked/{name} has sha256 {found}, expected {expected}" in logs
