"""Helpers for tests of the local Replicate: push, call it like its clients, wait, and receive webhooks."""

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import docker
import httpx
import pytest
from replicate.client import Client
from replicate.exceptions import ReplicateError
from replicate.prediction import Prediction
from replicate.version import Version

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


def refused(call: Callable[..., Any], *arguments: Any, **options: Any) -> ReplicateError:
    """The problem that a call fails with; it has a title and a detail."""
    with pytest.raises(ReplicateError) as raised:
        call(*arguments, **options)
    assert raised.value.title
    assert raised.value.detail
    return raised.value


class Receiver(HTTPServer):
    """Receives webhooks inside a `with` block; the first one of a success is answered with 500.

    `received`: headers and body of each; `is_over` is set once a success was accepted.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _WebhookHandler)
        self.received: list[tuple[dict[str, str], str]] = []
        self.is_over = threading.Event()
        self.has_refused = False

    def __enter__(self) -> "Receiver":
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()


class _WebhookHandler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.received.append((dict(self.headers), body))
        is_last = json.loads(body)["status"] == "succeeded"
        self.send_response(500 if is_last and not self.server.has_refused else 204)
        self.end_headers()
        if is_last and self.server.has_refused:
            self.server.is_over.set()
        self.server.has_refused = self.server.has_refused or is_last

    def log_message(self, format: str, *args: Any) -> None:
        pass
