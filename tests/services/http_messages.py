"""HTTP requests and responses, complete or partial."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

Content = bytes | Path


@dataclass
class Request:
    """A request, and the status of its response.

    `headers` has lower-case names; `content`: its body. `bytes_sent`: bytes of the response body that the socket took;
    while a body is being written, it is ahead by at most one piece, so it is right once a client has read the complete
    body.
    """

    host: str
    method: str
    path: str
    headers: dict[str, str]
    content: bytes = b""
    status: int = 0
    bytes_sent: int = 0

    @property
    def authorization(self) -> str | None:
        return self.headers.get("authorization")

    @property
    def range(self) -> str | None:
        return self.headers.get("range")


@dataclass
class Response:
    """A response. `ranges`: whether ranges are supported; `chunked`: whether the length is not announced.

    `pieces`: the body as it comes, in place of `body`; an OSError in it closes the connection.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Content = b""
    ranges: bool = False
    chunked: bool = False
    pieces: Iterator[bytes] | None = None
    window: range | None = None

    @property
    def size(self) -> int:
        return self.body.stat().st_size if isinstance(self.body, Path) else len(self.body)

    @property
    def part(self) -> range:
        """The bytes of the body to send."""
        return range(self.size) if self.window is None else self.window


def in_part(request: Request, response: Response) -> Response:
    """The response to a range header (RFC 9110, 14.2): 206, 416 or complete."""
    if not response.ranges:
        return response
    response.headers["Accept-Ranges"] = "bytes"
    window = asked_window(request.range or "", response.size)
    if window is None:
        return response
    if not window:
        return Response(416, response.headers | {"Content-Range": f"bytes */{response.size}"})
    response.status, response.window = 206, window
    response.headers["Content-Range"] = f"bytes {window.start}-{window.stop - 1}/{response.size}"
    return response


def asked_window(header: str, size: int) -> range | None:
    """The bytes of a range `bytes=a-b` or `a-`; empty if there are none; None if a server may ignore it."""
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", header)
    if not found or (found[2] and int(found[2]) < int(found[1])):
        return None
    return range(int(found[1]), min(size, int(found[2]) + 1) if found[2] else size)


def opened(content: Content) -> BinaryIO:
    return content.open("rb") if isinstance(content, Path) else io.BytesIO(content)
