"""python -m scripts.call on servers that do not respond like Cog: the error is one line that names the server."""

import copy
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from models.errors import TemplateError
from scripts.calling import remote
from scripts.calling.client import PredictionRequest
from scripts.calling.cog_server import CogServer
from scripts.calling.display import Display
from scripts.contract import schema
from scripts.replicate.client import ask, connect, explained
from scripts.serving import local_server
from tests.services.canned import answering

DOCUMENT = schema.generate("TextGeneration")
COMPLETED = b"event: completed\ndata: %s\n\n"


def answer_to_a_prediction(body: bytes, kind: str, streams: bool) -> str:
    """The error for a working server that gives a prediction this response; HERE stands for its address."""
    document = copy.deepcopy(DOCUMENT)
    document["paths"]["/predictions"]["post"]["x-cog-streaming"] = streams
    paths = {"/health-check": b'{"status": "READY"}', "/openapi.json": json.dumps(document).encode()}
    with answering(200, body, kind, paths=paths) as address:
        server = CogServer(address)
        return message_of(lambda: server.run(PredictionRequest({"prompt": "Hi"}), Display(is_quiet=True)), address)


def message_of(act: Callable[[], Any], address: str) -> str:
    with pytest.raises(TemplateError) as refused:
        act()
    assert "\n" not in str(refused.value)
    return str(refused.value).replace(address, "HERE")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>", "the whole: Invalid JSON: expected value at line 1 column 1"),
        (b"[]", "the whole: Input should be an object"),
        (b"{}", "status: Field required"),
        (b'{"status": "succeeded", "logs": 5}', "logs: Input should be a valid string"),
        (b'{"status": "succeeded", "metrics": "x"}', "metrics: Input should be an object"),
    ],
)
def test_a_malformed_prediction_is_reported(body: bytes, why: str) -> None:
    found = answer_to_a_prediction(body, "application/json", streams=False)
    assert found == f"HERE does not answer like Cog ({why}): check which server runs there"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"event: output\ndata: {bad\n\n", "json.decoder.JSONDecodeError: Expecting property name"),
        (b"event: output\ndata: {}\n\n", "KeyError: 'chunk'"),
        (b"event: log\ndata: []\n\n", "TypeError: list indices must be integers"),
        (COMPLETED % b"{}", "status: Field required"),
    ],
)
def test_a_malformed_stream_is_reported(body: bytes, why: str) -> None:
    found = answer_to_a_prediction(body, "text/event-stream", streams=True)
    assert found.startswith(f"HERE does not answer like Cog ({why}")


@pytest.mark.parametrize("body", [b"[]", b"ok", b"null", b"{}"])
def test_a_malformed_health_check_is_reported(body: bytes) -> None:
    with answering(200, body, "application/json") as address:
        for ask in (local_server.wait_until_ready, local_server.check_served, CogServer):
            assert "HERE" in message_of(lambda ask=ask: ask(address), address)


def test_a_failed_setup_without_a_log_is_reported() -> None:
    with answering(200, json.dumps({"status": "SETUP_FAILED"}).encode(), "application/json") as address:
        assert message_of(lambda: CogServer(address), address) == "setup failed without a message"


@pytest.mark.parametrize("body", [b"<html>sign in first</html>", b"[]"])
def test_a_server_other_than_replicate_is_reported(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """For example, a proxy that responds with its own page."""
    with answering(200, body, "text/html") as address:
        monkeypatch.setenv("REPLICATE_BASE_URL", address)
        monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_test")
        found = message_of(lambda: remote.model("acme/x"), address)
        assert found.startswith("the answer for the model acme/x is not from Replicate (")
        assert found.endswith("): check proxies and REPLICATE_BASE_URL")
        found = message_of(lambda: ask("your account", connect().accounts.current), address)
        assert found.startswith("the answer for your account is not from Replicate (")


def test_a_broken_connection_without_a_message_is_named_by_its_kind() -> None:
    def act() -> None:
        with explained("your account"):
            raise httpx.ReadTimeout("")

    assert message_of(act, "http") == "cannot reach Replicate for your account (ReadTimeout)"
