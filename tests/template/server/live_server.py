"""A client of a running Cog server for tests: plain JSON, SSE, cancel, health."""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from httpx_sse import EventSource

from scripts.cli import waiting

SLOTS = 16
ENDLESS = {"prompt": "Once upon a time", "raw": True, "temperature": 0, "max_tokens": 8000}
"""Minutes of text: if it ends early, it was ended on purpose."""


class Stream:
    """One prediction over SSE. `events`: the events read so far, as (name, data)."""

    def __init__(self, server: "LiveServer", id: str, response: httpx.Response) -> None:
        self.server, self.id, self.status_code = server, id, response.status_code
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._incoming = EventSource(response).iter_sse()

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for event in self._incoming:
            self.events.append((event.event, json.loads(event.data)))
            yield self.events[-1]

    def until(self, name: str) -> dict[str, Any]:
        """Read up to the next event called `name`; returns its data."""
        for event, data in self:
            if event == name:
                return data
        raise AssertionError(f"the stream ended without {name}: {self.events}")

    def cancel(self) -> None:
        self.server.client.post(f"/predictions/{self.id}/cancel").raise_for_status()

    @property
    def chunks(self) -> list[str]:
        return [data["chunk"] for name, data in self.events if name == "output"]


class LiveServer:
    def __init__(self, address: str, engine: str = "") -> None:
        self.address, self.engine = address, engine
        self.client = httpx.Client(base_url=address, timeout=60, limits=httpx.Limits(max_keepalive_connections=0))

    def post(self, **inputs: Any) -> httpx.Response:
        return self.client.post("/predictions", json={"input": inputs})

    def predict(self, **inputs: Any) -> dict[str, Any]:
        """A prediction that succeeds, as plain JSON."""
        response = self.post(**inputs)
        assert response.status_code == 200, response.text
        prediction: dict[str, Any] = response.json()
        assert prediction["status"] == "succeeded", prediction
        return prediction

    @contextmanager
    def stream(self, **inputs: Any) -> Iterator[Stream]:
        """A prediction over SSE; leaving the block drops the connection."""
        id = uuid.uuid4().hex
        headers = {"Accept": "text/event-stream"}
        with self.client.stream("PUT", f"/predictions/{id}", json={"input": inputs}, headers=headers) as response:
            yield Stream(self, id, response)

    def health(self) -> str:
        status: str = self.client.get("/health-check").json()["status"]
        return status

    def assert_answers(self) -> None:
        """A valid prediction succeeds, once a slot is free, and the server reports that it is ready."""
        eventually(lambda: self.post(prompt="Hi", max_tokens=2).status_code == 200, "a free slot")
        assert self.predict(prompt="Hi", max_tokens=2)["output"]
        assert self.health() == "READY"


def eventually(condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Wait until `condition` is true; fail with `what` if it is not within `seconds`."""
    assert waiting.until(condition, seconds), f"waited {seconds} s for {what}"
