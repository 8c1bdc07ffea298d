"""The benchmark's load against failing servers: a lost prediction is never counted as a stream."""

import re

import pytest

from models.errors import TemplateError
from scripts.benchmark import load
from tests.services.canned import answering

FAILED = b'event: completed\ndata: {"status": "failed", "error": "out of memory"}\n\n'
LOAD = load.Load([], streams=True)
OUTPUT = b"event: output\ndata: word\n\n"


@pytest.mark.parametrize(
    ("status", "body", "promised", "message"),
    [
        (422, b"no such input", 0, "the server answered 422: no such input"),
        (200, OUTPUT + FAILED, 0, "a prediction ended as failed: out of memory"),
        (200, OUTPUT, 0, "the server ended a stream before its prediction was complete"),
        (200, OUTPUT, 99, "the server ended a stream before its prediction was complete"),
    ],
)
def test_a_stream_that_ends_with_an_error_fails_the_run(status: int, body: bytes, promised: int, message: str) -> None:
    with answering(status, body, promised=promised) as address, pytest.raises(TemplateError, match=re.escape(message)):
        load.run(address, [{"text": "The sea"}, {"text": "The sky"}], LOAD)


def test_a_server_that_stopped_fails_the_run() -> None:
    with answering(200, b"") as address:
        pass
    with pytest.raises(TemplateError, match=rf"the connection to {address} broke \(.*refused"):
        load.run(address, [{"text": "The sea"}], LOAD)
