"""A container that fetches its weights at setup: from a gated repository, with the token as a secret, into a volume.

The Hub is a local one, which the container reaches on the host's network.
"""

import json
import secrets
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from models import weights
from models.manifest import Manifest
from scripts.serving.local_server import free_port
from tests import commands
from tests.services.hub import Hub

from . import host

REPOSITORY = "acme/smollm2-gguf"
IMAGE = "template:fetched"
PROMPT = {"input": {"prompt": "The capital of France is", "temperature": 0, "max_tokens": 24}}
ASK = """
import json, sys, urllib.request
def call(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    kind = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{sys.argv[1]}{path}", data, kind)
    return json.load(urllib.request.urlopen(request, timeout=60))
print(json.dumps(call(sys.argv[2], json.loads(sys.argv[3]) if len(sys.argv) > 3 else None)))
"""

FLIP = """
with open("/weights/{}/openvino/openvino_model.bin", "r+b") as file:
    file.seek(10**6)
    byte = file.read(1)[0]
    file.seek(10**6)
    file.write(bytes([byte ^ 1]))
"""


@pytest.fixture(scope="module")
def token() -> str:
    return f"hf_{secrets.token_hex(17)}"


@pytest.fixture(scope="module")
def hub(model: Manifest, token: str) -> Iterator[Hub]:
    """A gated repository with the real weights."""
    source = weights.gguf_file(model)
    with Hub() as hub:
        hub.add(REPOSITORY, {source.name: source}, gated=True)
        hub.allow(REPOSITORY, token)
        yield hub


@pytest.fixture(scope="module")
def image(engine: docker.DockerClient, model: Manifest, hub: Hub, token: str, tmp_path_factory: Any) -> str:
    """The CPU image of a copy of the project whose manifest names that repository and `fetched`."""
    copy = host.copy_project(tmp_path_factory.mktemp("fetched"))
    (copy / "weights").unlink()
    path = copy / "models" / "catalog" / model.slug / "model.yaml"
    content = yaml.safe_load(path.read_text())
    content["weights"] = {"source": f"hf://{REPOSITORY}@main", "files": ["*.gguf"], "delivery": "fetched"}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    variables = {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": token, "HF_HUB_DISABLE_TELEMETRY": "1", "MODEL": model.slug}
    for command in (["weights_lock"], ["render"], ["image", "--device", "cpu", "--tag", IMAGE]):
        commands.succeed(sys.executable, "-m", f"scripts.{command[0]}", *command[1:], cwd=copy, **variables)
    return IMAGE


class Container:
    """A running container whose server is called from inside, which works even without a network."""

    def __init__(self, container: Any, port: int) -> None:
        self.container, self.port = container, port

    def call(self, path: str, body: Any = None) -> Any:
        arguments = [str(self.port), path, *([] if body is None else [json.dumps(body)])]
        code, output = self.container.exec_run(["python", "-c", ASK, *arguments])
        return json.loads(output) if code == 0 else {"status": "UNREACHABLE", "output": output.decode()}

    def health_once(self, wanted: str) -> dict[str, Any]:
        deadline = time.monotonic() + 120
        while (health := self.call("/health-check"))["status"] in ("UNREACHABLE", "STARTING"):
            assert time.monotonic() < deadline, health
            time.sleep(0.3)
        assert health["status"] == wanted, health
        found: dict[str, Any] = health
        return found


@contextmanager
def running(
    engine: docker.DockerClient, image: str, volume: str, network: str, files: tuple[Path, ...] = (), **variables: str
) -> Iterator[Container]:
    """A container with the volume at /weights; `files` are mounted in /run/secrets."""
    port = free_port()
    mounts = [docker.types.Mount("/weights", volume)]
    mounts += [
        docker.types.Mount(f"/run/secrets/{path.name}", str(path), type="bind", read_only=True) for path in files
    ]
    environment = {"PORT": str(port), "HF_HUB_DISABLE_TELEMETRY": "1", **variables}
    started = engine.containers.run(image, detach=True, network_mode=network, mounts=mounts, environment=environment)
    try:
        yield Container(started, port)
    finally:
        started.remove(force=True)


@contextmanager
def new_volume(engine: docker.DockerClient) -> Iterator[str]:
    """The name of an empty volume, which is removed after the block."""
    made = engine.volumes.create(f"weights-{uuid.uuid4().hex[:8]}")
    try:
        yield made.name
    finally:
        made.remove(force=True)


@dataclass(frozen=True)
class Filled:
    """A volume with weights, and of the container that filled it: setup's logs, a response, its description."""

    volume: str
    logs: str
    answer: str
    container: str


@pytest.fixture(scope="module")
def filled(engine: docker.DockerClient, image: str, hub: Hub, token: str, tmp_path_factory: Any) -> Iterator[Filled]:
    """A volume that a first container has filled, with the token as a secret's file."""
    secret = tmp_path_factory.mktemp("secret") / "hf_token"
    secret.write_text(token)
    where = {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN_PATH": "/run/secrets/hf_token"}
    with new_volume(engine) as volume:
        with running(engine, image, volume, "host", (secret,), **where) as first:
            logs = first.health_once("READY")["setup"]["logs"]
            answer = "".join(first.call("/predictions", PROMPT)["output"])
            described = json.dumps(engine.api.inspect_container(first.container.id))
        yield Filled(volume, logs, answer, described)


def test_weights_are_fetched_once_and_later_starts_need_no_network(
    engine: docker.DockerClient, image: str, filled: Filled, hub: Hub, token: str
) -> None:
    assert not [name for name in host.files_in(engine, image) if name.startswith("baked/")]
    assert "Paris" in filled.answer
    assert token not in filled.container + filled.logs
    assert f"downloading hf://{REPOSITORY}@" in filled.logs
    assert "98 of 98 MB (100 %)" in filled.logs
    assert "made openvino's files" in filled.logs
    assert hub.leaks == []

    before = len(hub.requests)
    with running(engine, image, filled.volume, "none") as second:
        logs = second.health_once("READY")["setup"]["logs"]
        assert "Paris" in "".join(second.call("/predictions", PROMPT)["output"])
    assert "downloading" not in logs
    assert len(hub.requests) == before


def test_without_access_setup_names_the_page_for_access_before_it_downloads(
    engine: docker.DockerClient, image: str, hub: Hub
) -> None:
    before = len(hub.requests)
    with new_volume(engine) as volume, running(engine, image, volume, "host", HF_ENDPOINT=hub.endpoint) as refused:
        logs = refused.health_once("SETUP_FAILED")["setup"]["logs"]
    assert f"{REPOSITORY} is gated: ask for access at https://huggingface.co/{REPOSITORY}, then set HF_TOKEN" in logs
    assert not [request for request in hub.requests[before:] if request.host == "cdn"]


def test_changed_fetched_weights_are_refused(
    engine: docker.DockerClient, image: str, filled: Filled, model: Manifest
) -> None:
    flip = ["python", "-c", FLIP.format(model.slug)]
    mounts = [docker.types.Mount("/weights", filled.volume)]
    engine.containers.run(image, flip, mounts=mounts, remove=True)
    try:
        with running(engine, image, filled.volume, "none") as changed:
            assert "openvino_model.bin has sha256" in changed.health_once("SETUP_FAILED")["setup"]["logs"]
    finally:
        engine.containers.run(image, flip, mounts=mounts, remove=True)
