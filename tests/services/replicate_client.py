"""Helpers for tests of the local Replicate: push, call it like its clients, wait, and receive webhooks."""

import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import httpx
from replicate.client import Client
from replicate.prediction import Prediction
from replicate.version import Version

from .http import Service
from .http_messages import Request, Response
from .replicate import Replicate


@contextmanager
def with_model(name: str) -> Iterator[Replicate]:
    """A local Replicate with one private model, OWNER/NAME."""
    with Replicate() as service:
        owner, _, short = name.partition("/")
        client_of(service).models.create(owner, short, visibility="private", hardware="cpu")
        yield service


def first_version(service: Replicate, engine: docker.DockerClient, name: str, image: str) -> Version:
    """The model's first version; `image` is pushed if there is none yet."""
    versions = client_of(service).models.get(name).versions
    if not versions.list().results:
        push(engine, image, name)
    return versions.list()[-1]


def client_of(service: Replicate) -> Client:
    """Replicate's own client, pointed at the local one; it polls faster."""
    client = Client(api_token=service.token, base_url=service.address)
    client.poll_interval = 0.05
    return client


def http_of(service: Replicate) -> httpx.Client:
    """An HTTP client for routes that Replicate's client has no method for; paths are without /v1."""
    headers = {"Authorization": f"Bearer {service.token}"}
    return httpx.Client(base_url=service.base_url, headers=headers, timeout=60)


def push(engine: docker.DockerClient, image: str, name: str) -> None:
    """Push an image as r8.im/`name`; the caller knows that r8.im is the local registry."""
    engine.images.get(image).tag(f"r8.im/{name}", "latest")
    for event in engine.images.push(f"r8.im/{name}", "latest", stream=True, decode=True):
        assert "error" not in event, event


def push_variant(engine: docker.DockerClient, image: str, name: str, instruction: str) -> None:
    """Push the image with one more instruction: it has another digest and the same layers."""
    variant, _ = engine.images.build(fileobj=io.BytesIO(f"FROM {image}\n{instruction}\n".encode()), rm=True)
    push(engine, variant.id, name)


def until(prediction: Prediction, *statuses: str) -> Prediction:
    """Reload the prediction until it has one of these statuses."""
    deadline = time.monotonic() + 60
    while prediction.status not in statuses:
        assert time.monotonic() < deadline, prediction
        time.sleep(0.05)
        prediction.reload()
    return prediction


class Receiver(Service):
    """Receives webhooks at `url` inside a `with` block; the first one of a success is answered with 500.

    `received`: each of them; `is_over` is set once a success was accepted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.received: list[Request] = []
        self.is_over = threading.Event()
        self.url = f"http://127.0.0.1:{self.serve('webhooks', self._receive)}/hook"

    def statuses(self) -> list[str]:
        """The status of the prediction in each."""
        return [json.loads(request.content)["status"] for request in self.received]

    def _receive(self, request: Request) -> Response:
        self.received.append(request)
        if (successes := self.statuses().count("succeeded")) > 1:
            self.is_over.set()
        return Response(500 if successes == 1 else 204)
