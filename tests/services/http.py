"""The common base of the stand-in servers: HTTP/1.1 in threads, a log of requests, and faults that tests inject."""

import gzip
import io
import os
import ssl
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from typing import Any, BinaryIO, Literal, TypeVar

from tests.services.http_messages import Request, Response, in_part, opened

Kind = TypeVar("Kind", bound="Service")
PIECE = 1_000_000
"""The bytes of a body that are written at once."""

BEFORE = ("status", "expired", "dead")
"""The faults that prevent a request from being carried out."""

SLOW_STEP = 0.05
"""Seconds between the pieces of a slow body."""


@dataclass
class Fault:
    """A fault of the next `times` responses to requests whose path with its query contains `match`.

    status: nothing is done, and the response is `status` with `headers` (`{"Retry-After": "1"}`).
    expired: the same with 403, as a CDN answers a signed URL that is too old.
    cut: the connection closes after `after` bytes of the body.
    corrupt: the body has the right length, but one wrong bit in the middle.
    stall: nothing is sent after `after` bytes of the body, for `seconds` or until the server stops; then it closes.
    slow: `rate` bytes a second.
    gzip: the complete body is compressed, whatever the request accepts, as some proxies do with text.
    dead: the connection closes, as if the request had not arrived.
    lost: the request is carried out, but the connection closes before the response.

    The faults from cut to gzip apply only to bodies (GET, 200 or 206), the others to any request. `host` restricts it,
    and the first `skip` matching requests succeed.
    """

    match: str
    kind: Literal["status", "expired", "cut", "corrupt", "stall", "slow", "gzip", "dead", "lost"]
    times: int = 1
    skip: int = 0
    host: str | None = None
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    after: int = 0
    seconds: float = 60
    rate: int = 1_000_000

    def applies(self, request: Request, response: Response | None) -> bool:
        """Whether the fault applies to this request; `response` is None before there is one."""
        if response is None:
            of_this_kind = self.kind in BEFORE
        else:
            has_body = request.method == "GET" and response.status in (200, 206) and len(response.part) > 0
            of_this_kind = self.kind == "lost" or (self.kind not in BEFORE and has_body)
        return of_this_kind and self.times > 0 and self.match in request.path and self.host in (None, request.host)


class Service:
    """Servers in threads with a common log and list of faults; leaving the block stops them.

    `faults`: append to it; each is used `times` times. `requests`: a copy of the log, in the order of the responses.
    """

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.stopping = threading.Event()
        self._requests: list[Request] = []
        self._lock = threading.Lock()
        self._servers: list[Server] = []

    @property
    def requests(self) -> list[Request]:
        with self._lock:
            return list(self._requests)

    def serve(self, host: str, respond: Callable[[Request], Response], tls: ssl.SSLContext | None = None) -> int:
        """Start a server whose requests are logged with `host`; returns its port on 127.0.0.1."""
        server = Server(self, host, respond, tls)
        self._servers.append(server)
        server.start()
        return server.server_port

    def fault(self, request: Request, response: Response | None = None) -> Fault | None:
        """The fault for a request: before it is carried out or, if there is a response, afterwards."""
        with self._lock:
            fault = next((fault for fault in self.faults if fault.applies(request, response)), None)
            if fault and fault.skip > 0:
                fault.skip -= 1
                return None
            if fault:
                fault.times -= 1
            return fault

    def record(self, request: Request) -> None:
        with self._lock:
            self._requests.append(request)

    def stop(self) -> None:
        """End every connection, whatever it waits for. A second call does no harm."""
        self.stopping.set()
        for server in self._servers:
            server.stop()

    def __enter__(self: Kind) -> Kind:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, service: Service, host: str, respond: Callable[[Request], Response], tls: ssl.SSLContext | None
    ) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.service, self.host, self.respond = service, host, respond
        self._open: dict[socket, threading.Thread] = {}
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        self._open[request] = threading.current_thread()
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._open.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect or do not trust the certificate: these are not errors of the server."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        for connection, thread in list(self._open.items()):
            shut(connection)
            thread.join(5)
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        content = self.rfile.read(int(headers.get("content-length", 0)))
        request = Request(self.server.host, self.command, self.path, headers, content)
        service = self.server.service
        fault = service.fault(request)
        if fault and fault.kind == "dead":
            return self._close()
        response = refusal(fault) if fault else in_part(request, self.server.respond(request))
        fault = fault or service.fault(request, response)
        service.record(request)
        if fault and fault.kind == "lost":
            return self._close()
        if fault and fault.kind == "gzip":
            response = compressed(response)
        request.status = response.status
        self._send_head(response)
        if response.pieces:
            for piece in response.pieces:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        elif self.command != "HEAD":
            self._send_body(request, response, fault)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_QUERY = answer

    def _close(self) -> None:
        self.close_connection = True
        shut(self.connection)

    def _send_head(self, response: Response) -> None:
        self.send_response(response.status)
        is_chunked = response.chunked or response.pieces
        length = {"Transfer-Encoding": "chunked"} if is_chunked else {"Content-Length": str(len(response.part))}
        for name, value in (response.headers | ({} if response.status == 204 else length)).items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _send_body(self, request: Request, response: Response, fault: Fault | None) -> None:
        kind = fault.kind if fault else None
        part = response.part
        with opened(response.body) as file:
            source, start = (flipped(file, part), 0) if kind == "corrupt" else (file, part.start)
            end = start + len(part)
            stop = min(end, start + fault.after) if fault and kind in ("cut", "stall") else end
            step = max(1, int(fault.rate * SLOW_STEP)) if fault and kind == "slow" else PIECE
            for offset in range(start, stop, step):
                self._send_piece(request, response, source, range(offset, min(offset + step, stop)))
                if kind == "slow":
                    self.server.service.stopping.wait(SLOW_STEP)
        if fault and kind in ("cut", "stall"):
            self.server.service.stopping.wait(fault.seconds if kind == "stall" else 0)
            self._close()
        elif response.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _send_piece(self, request: Request, response: Response, file: BinaryIO, piece: range) -> None:
        if response.chunked:
            self.wfile.write(f"{len(piece):x}\r\n".encode())
        request.bytes_sent += len(piece)
        offset = piece.start
        try:
            while offset < piece.stop:
                written = self._write(file, offset, piece.stop - offset)
                if not written:
                    raise ConnectionAbortedError("the file became shorter while it was sent")
                offset += written
        finally:
            request.bytes_sent -= piece.stop - offset
        if response.chunked:
            self.wfile.write(b"\r\n")

    def _write(self, file: BinaryIO, offset: int, count: int) -> int:
        """Write up to `count` bytes, with sendfile for a file without TLS; returns how many."""
        if isinstance(file, io.BytesIO) or isinstance(self.connection, ssl.SSLSocket):
            file.seek(offset)
            return int(self.connection.send(file.read(count)))
        return os.sendfile(self.connection.fileno(), file.fileno(), offset, count)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: `Service.requests` is the log."""


def refusal(fault: Fault) -> Response:
    if fault.kind == "expired":
        return expired()
    return Response(fault.status, {"Content-Type": "text/plain", **fault.headers}, f"fault {fault.status}".encode())


def compressed(response: Response) -> Response:
    """The complete content of a response, compressed with gzip."""
    with opened(response.body) as file:
        body = gzip.compress(file.read())
    headers = {
        name: value for name, value in response.headers.items() if name not in ("Content-Range", "Accept-Ranges")
    }
    return Response(200, headers | {"Content-Encoding": "gzip"}, body)


def expired() -> Response:
    """The response of a CDN to an expired signed URL.

    https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-how-signed-urls-work.html
    """
    body = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
    return Response(403, {"Content-Type": "application/xml"}, body)


def flipped(file: BinaryIO, part: range) -> BinaryIO:
    """The bytes of `part` with one bit in the middle changed."""
    file.seek(part.start)
    content = bytearray(file.read(len(part)))
    content[len(content) // 2] ^= 1
    return io.BytesIO(content)


def shut(connection: socket) -> None:
    """End a connection in both directions, even if a thread waits on it."""
    try:
        socket.shutdown(connection, SHUT_RDWR)
    except OSError:
        return
