"""The benchmark's load against servers that fail: what is lost is never counted as a stream."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from models.errors import TemplateError
from scripts.benchmark import load

FAILED = b'event: completed\ndata: {"status": "failed", "error": "out of memory"}\n\n'
OUTPUT = b"event: output\ndata: word\n\n"


@contextmanager
def serving(status: int, body: bytes, promised: int = 0) -> Iterator[str]:
    """The address of a server that answers everything so; `promised`: bytes that it says to send beside the body."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) + promised))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "promised", "said"),
    [
        (422, b"no such input", 0, "the server answered 422: no such input"),
        (200, OUTPUT + FAILED, 0, "a prediction ended as failed: out of memory"),
        (200, OUTPUT, 0, "the server ended a stream before its prediction was complete"),
        (200, OUTPUT, 99, "the server ended a stream before its prediction was complete"),
    ],
)
def test_a_stream_that_does_not_end_well_fails_the_run(status: int, body: bytes, promised: int, said: str) -> None:
    with serving(status, body, promised) as address, pytest.raises(TemplateError, match=re.escape(said)):
        load.run(address, ["The sea", "The sky"])


def test_a_server_that_is_gone_fails_the_run() -> None:
    with serving(200, b"") as address:
        pass
    with pytest.raises(TemplateError, match=rf"the connection to {address} broke \(.*refused"):
        load.run(address, ["The sea"])
