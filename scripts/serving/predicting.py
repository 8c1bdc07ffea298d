"""Single predictions on a local server, for commands that judge the answers."""

from collections.abc import Mapping
from typing import Any

import httpx

from scripts.cli import connection, waiting
from scripts.serving import local_server

PATIENCE_SECONDS = 5
ANSWER_SECONDS = 600


def prediction(address: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The finished prediction; if there is none, its status says what the server answered instead."""
    try:
        answer = connection.ask("POST", f"{address}/predictions", json=body, timeout=ANSWER_SECONDS)
    except httpx.TransportError as error:
        return {"status": "no answer", "error": connection.reason(error)}
    if answer.status_code != 200:
        return {"status": f"HTTP {answer.status_code}", "error": answer.text[:200]}
    found: dict[str, Any] = answer.json()
    return found


def wait_until_ready(address: str) -> None:
    """Wait until the previous prediction has returned its slot, which happens shortly after its answer.

    Raises:
        ServerError: the server reports UNHEALTHY or DEFUNCT.
        httpx.TransportError: it no longer answers.
    """

    def is_ready() -> bool:
        health = connection.ask("GET", f"{address}/health-check", timeout=60).json()
        local_server.check_alive(address, health)
        return bool(health["status"] == "READY")

    waiting.until(is_ready, PATIENCE_SECONDS)
