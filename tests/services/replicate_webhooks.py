"""Webhooks: https://replicate.com/docs/topics/webhooks, signed as in .../webhooks/verify-webhook."""

import base64
import hashlib
import hmac
import json
import queue
import threading
import time
import uuid
from collections.abc import Sequence
from typing import Any

import httpx

BY_DEFAULT = ("output", "completed")
_ATTEMPTS, _SECONDS_BETWEEN_UPDATES = 5, 0.5


class Webhook:
    """Delivers one prediction's webhooks in order, in its own thread.

    Output and logs are sent at most every 500 ms and only once. The last event, `completed`, is always sent; if the
    receiver cannot be reached or answers 400 or more it is sent again, up to five times (after 0.2 s, then doubling:
    Replicate does so for about a minute). Redirects are not followed.
    """

    def __init__(self, url: str, events: Sequence[str], secret: str) -> None:
        self._url, self._events, self._secret = url, events, secret
        self._queue: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self._last_update = 0.0
        threading.Thread(target=self._deliver, daemon=True).start()

    def notify(self, event: str, prediction: dict[str, Any]) -> None:
        """Report that `event` happened; `prediction` is what GET returns now."""
        self._queue.put((event, prediction))

    def _deliver(self) -> None:
        event = ""
        while event != "completed":
            event, prediction = self._queue.get()
            if event in self._events and not self._is_too_soon(event):
                self._send(event, json.dumps(prediction))

    def _is_too_soon(self, event: str) -> bool:
        if event in ("start", "completed"):
            return False
        elapsed = time.monotonic() - self._last_update
        if elapsed >= _SECONDS_BETWEEN_UPDATES:
            self._last_update = time.monotonic()
        return elapsed < _SECONDS_BETWEEN_UPDATES

    def _send(self, event: str, body: str) -> None:
        id = f"msg_{uuid.uuid4().hex}"
        for attempt in range(_ATTEMPTS if event == "completed" else 1):
            if attempt:
                time.sleep(0.1 * 2**attempt)
            headers = {"Content-Type": "application/json"} | signature(self._secret, id, body)
            try:
                if httpx.post(self._url, content=body, headers=headers, timeout=10).status_code < 400:
                    return
            except httpx.TransportError:
                continue


def new_secret() -> str:
    """A signing secret, like whsec_BASE64."""
    return f"whsec_{base64.b64encode(uuid.uuid4().bytes + uuid.uuid4().bytes).decode()}"


def signature(secret: str, id: str, body: str) -> dict[str, str]:
    """The three headers that prove the origin of a webhook."""
    sent = str(int(time.time()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = hmac.new(key, f"{id}.{sent}.{body}".encode(), hashlib.sha256).digest()
    return {
        "webhook-id": id,
        "webhook-timestamp": sent,
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }
