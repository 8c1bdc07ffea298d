"""A prediction from `starting` to its end, as GET, its event stream and its webhooks show it.

https://replicate.com/docs/reference/http#predictions.get, https://replicate.com/docs/topics/predictions/streaming
"""

import copy
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from .replicate_http import now
from .replicate_registry import Version

ENDED = ("succeeded", "failed", "canceled", "aborted")


class Prediction:
    """One prediction. `place`: what it runs on, models/OWNER/NAME or deployments/OWNER/NAME.

    `listener` gets start, output, logs and completed, each with the prediction at that time.
    """

    def __init__(self, account: str, version: Version, place: str, inputs: dict[str, Any], address: str) -> None:
        self.account, self.version, self.place = account, version, place
        self.id = secrets.token_hex(13)
        self.stream_key = secrets.token_urlsafe(24)
        self.listener: Callable[[str, dict[str, Any]], None] = lambda event, prediction: None
        self.canceling = threading.Event()
        self._created = time.monotonic()
        self._changed = threading.Condition()
        self._events: list[tuple[str, str]] = []
        self._record: dict[str, Any] = {
            "id": self.id,
            "model": version.model,
            "version": version.id,
            "input": inputs,
            "logs": "",
            "output": None,
            "data_removed": False,
            "error": None,
            "source": "api",
            "status": "starting",
            "created_at": now(),
            "urls": self._urls(address),
        }

    def _urls(self, address: str) -> dict[str, str]:
        get = f"{address}/v1/predictions/{self.id}"
        urls = {"web": f"https://replicate.com/p/{self.id}", "get": get, "cancel": f"{get}/cancel"}
        output = self.version.openapi_schema.get("components", {}).get("schemas", {}).get("Output", {})
        if output.get("x-cog-array-type") == "iterator":
            urls["stream"] = f"{address}/streaming/v1/streams/{self.stream_key}"
        return urls

    def describe(self, **more: Any) -> None:
        """Add fields to the record, such as its deployment or deadline."""
        self._record.update(more)

    def as_json(self) -> dict[str, Any]:
        with self._changed:
            return copy.deepcopy(self._record)

    @property
    def status(self) -> str:
        return str(self._record["status"])

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    def start(self) -> None:
        """Mark it as running: the model's predict() runs now."""
        with self._changed:
            if self.status == "starting":
                self._change("start", None, status="processing", started_at=now())

    def add_output(self, chunk: Any) -> None:
        with self._changed:
            text = chunk if isinstance(chunk, str) else json.dumps(chunk)
            self._change("output", text, output=[*(self._record["output"] or []), chunk])

    def add_logs(self, text: str) -> None:
        with self._changed:
            self._change("logs", text, logs=self._record["logs"] + text)

    def end(self, status: str, error: str | None = None, metrics: dict[str, Any] = {}, **more: Any) -> None:
        """Enter a terminal state, once; later changes are ignored."""
        with self._changed:
            if self.has_ended:
                return
            if status == "failed":
                self._events.append(("error", json.dumps({"detail": error})))
            reasons = {"succeeded": {}, "failed": {"reason": "error"}}
            metrics = metrics | {"total_time": round(time.monotonic() - self._created, 6)}
            data = json.dumps(reasons.get(status, {"reason": "canceled"}))
            ended = {"status": status, "error": error, "metrics": metrics, "completed_at": now()}
            self._change("done", data, **more | ended)

    def cancel(self) -> None:
        """Cancel it: at once if it has not begun, otherwise when its runner has seen `canceling` and stopped."""
        with self._changed:
            self.canceling.set()
            if self.status == "starting":
                self.end("canceled")

    def pass_deadline(self) -> None:
        """Cancel-After has passed: it is `aborted` if it has not begun, otherwise canceled."""
        with self._changed:
            if self.status == "starting":
                self.canceling.set()
                self.end("aborted")
        self.cancel()

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, now or within `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: self.has_ended, seconds)

    def stream(self) -> Iterator[bytes]:
        """All server-sent events from the first one: output, logs, error, done."""
        sent = 0
        while True:
            for event, data in self._events_after(sent):
                yield _server_sent(event, f"{int(time.time())}:{sent}", data)
                sent += 1
                if event == "done":
                    return

    def _events_after(self, sent: int) -> list[tuple[str, str]]:
        with self._changed:
            self._changed.wait_for(lambda: len(self._events) > sent)
            return self._events[sent:]

    def _change(self, event: str, data: str | None, **changes: Any) -> None:
        with self._changed:
            if self.has_ended:
                return
            self._record.update(changes)
            if data is not None:
                self._events.append((event, data))
            self.listener("completed" if event == "done" else event, self.as_json())
            self._changed.notify_all()


def _server_sent(event: str, id: str, data: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in re.split(r"\r\n|\r|\n", data))
    return f"event: {event}\nid: {id}\n{lines}\n".encode()
