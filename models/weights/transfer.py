"""One connection of a download: it downloads chunks, waits for a busy server, and resumes interrupted chunks."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from models.errors import WeightsError
from models.weights.parts import Part

BUSY = (408, 429, 500, 502, 503, 504)
TIMEOUTS = (10, 30)  # seconds to connect, and between two pieces of a response
TRIES = 6  # in a row without a new byte
PAUSE = 0.1  # seconds, doubled after each of them
MOST_WAIT = 120  # seconds that a server may ask to wait
_BLOCK, _SMALL_BLOCK = 1 << 20, 1 << 16
_REFUSED = (401, 403)

Located = tuple[str, dict[str, str]]


def ask(http: Any, url: str, headers: dict[str, str]) -> Any:
    """The response to a GET, with its body not read yet; `http`: a requests.Session, which finds the proxies itself.

    The certificates are those of the variable SSL_CERT_FILE, which huggingface_hub also uses; otherwise requests' own.

    Raises:
        WeightsError: SSL_CERT_FILE names no file.
        requests.RequestException: there was no response.
    """
    certificates = os.environ.get("SSL_CERT_FILE") or True
    if certificates is not True and not os.path.isfile(certificates):
        raise WeightsError(f"SSL_CERT_FILE names {certificates}, which is no file: correct it, or unset it")
    has_token = any(name.lower() == "authorization" for name in headers)
    return http.get(
        url,
        headers={**headers, "Accept-Encoding": "identity"},
        auth=_as_it_is if has_token else None,
        stream=True,
        timeout=TIMEOUTS,
        verify=certificates,
    )


def _as_it_is(request: Any) -> Any:
    """Replaces requests' default, which would overwrite the token with a login from ~/.netrc."""
    return request


def compression(name: str, headers: Mapping[str, str]) -> str:
    """How a response's body is compressed although `ask` requests it uncompressed; empty if it is not.

    Some servers send the encoding gzip with every file named .gz, whose bytes are then the file's own.
    """
    named = headers.get("Content-Encoding", "").strip().lower()
    is_own = named in ("gzip", "x-gzip") and name.endswith((".gz", ".tgz"))
    return "" if is_own or named == "identity" else named


def seconds_to_wait(failures: int, asked: str | None) -> float:
    """How long to wait after so many failures in a row; `asked`: the response's Retry-After, if it has one."""
    patient = PAUSE * 2.0**failures
    return max(patient, float(asked)) if asked and asked.isdigit() else patient


class Address:
    """The URL of a file and the headers to send there; requested once, and again when the server refuses them (403)."""

    def __init__(self, locate: Callable[[], Located]) -> None:
        self._locate, self._located, self._lock = locate, locate(), threading.Lock()

    def get(self) -> Located:
        """The latest URL and headers."""
        return self._located

    def renew(self, refused: Located) -> None:
        """Request them again, unless another connection has done so meanwhile."""
        with self._lock:
            if self._located is refused:
                self._located = self._locate()


class Connection:
    """Downloads one chunk after another until `stopped`; `came(count)` gets the bytes (negative: dropped ones)."""

    def __init__(self, stopped: threading.Event, came: Callable[[int], None]) -> None:
        import requests

        self._stopped, self._came, self._http = stopped, came, requests.Session()

    def close(self) -> None:
        self._http.close()

    def bring(self, part: Part, chunk: int, address: Address) -> None:
        """Download the missing bytes of a chunk, with a longer wait after each failure.

        Raises:
            WeightsError: the server refuses, has another file, or fails `TRIES` times in a row.
        """
        failures = refusals = 0
        while part.next(chunk) < part.end(chunk) and not self._stopped.is_set():
            before, located = part.next(chunk), address.get()
            status, asked, problem = self._try(part, chunk, located)
            if status in _REFUSED and refusals < 2:
                refusals += 1
                address.renew(located)
                continue
            if status not in (0, 200, 206, *BUSY):
                raise WeightsError(_refused(part.name, located[0], status))
            failures = 1 if part.next(chunk) > before else failures + 1
            wait = seconds_to_wait(failures, asked)
            if failures == TRIES or wait > MOST_WAIT:
                raise WeightsError(_gave_up(part.name, located[0], problem, asked))
            if part.next(chunk) < part.end(chunk):
                self._stopped.wait(wait)

    def _try(self, part: Part, chunk: int, located: Located) -> tuple[int, str | None, str]:
        """Try once; returns the status (0: no complete response), its Retry-After, and a description of the problem."""
        import requests
        import urllib3

        try:
            status, asked = self._request(part, chunk, *located)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            refuse_certificate(located[0], error)
            return 0, None, " ".join(str(error).split())[:200]
        return status, asked, f"it answers {status}"

    def _request(self, part: Part, chunk: int, url: str, headers: dict[str, str]) -> tuple[int, str | None]:
        """Request the rest of a chunk and write its bytes while they arrive; returns the status and Retry-After."""
        begin, end = part.next(chunk), part.end(chunk)
        if part.ranges:
            headers = {**headers, "Range": f"bytes={begin}-{end - 1}"}
        with ask(self._http, url, headers) as response:
            if response.status_code in (200, 206):
                _check_answer(response, part, begin)
                if response.status_code == 200:
                    self._restart(part, chunk, response)
                self._receive(response, part, chunk)
            return response.status_code, response.headers.get("Retry-After")

    def _restart(self, part: Part, chunk: int, response: Any) -> None:
        """Start the chunk again, as the server sends the complete file from its beginning."""
        if part.end(chunk) - part.begin(chunk) < part.size:
            raise WeightsError(f"{_host(response.url)} no longer sends {part.name} in ranges: make weights-lock")
        self._came(-part.restart(chunk))

    def _receive(self, response: Any, part: Part, chunk: int) -> None:
        """Write the body in blocks of about 20 ms; a killed process loses only the unfinished block."""
        size, begun, is_packed = _SMALL_BLOCK, time.monotonic(), bool(compression(part.name, response.headers))
        while (block := response.raw.read(size, decode_content=is_packed)) and not self._stopped.is_set():
            part.write(chunk, block)
            self._came(len(block))
            now = time.monotonic()
            size = min(2 * size, _BLOCK) if now - begun < 0.02 else max(size // 2, _SMALL_BLOCK)
            begun = now


def refuse_certificate(url: str, error: Exception) -> None:
    """Do not retry after a certificate error.

    Raises:
        WeightsError: the error is about a certificate.
    """
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        raise WeightsError(
            f"{_host(url)} shows a certificate that this machine does not trust: "
            "name the file of your authority's certificate in SSL_CERT_FILE"
        ) from error


def _check_answer(response: Any, part: Part, begin: int) -> None:
    """Refuse a range that was not requested, a compressed range, or a file with another size or ETag."""
    packed = compression(part.name, response.headers)
    if packed and response.status_code == 206:
        raise WeightsError(
            f"{_host(response.url)} compresses {part.name} ({packed}), so that no part of it can be used: "
            "take it from a server that sends files as they are"
        )
    found = response.headers.get("Content-Range", "no Content-Range")
    fits = found.startswith(f"bytes {begin}-") and found.endswith(f"/{part.size}")
    if response.status_code == 200:
        found = f"{response.headers.get('Content-Length', part.size)} bytes"
        fits = found == f"{part.size} bytes" or bool(packed)  # that is the length of the compressed body
    if not fits:
        raise WeightsError(
            f"{part.name} should have {part.size} bytes, but {_host(response.url)} answers {found!r}: "
            "the source has changed; make weights-lock"
        )
    etag = response.headers.get("ETag", "")
    if part.etag and etag != part.etag:
        raise WeightsError(
            f"{part.name} changed while it was downloaded (ETag {part.etag}, now {etag}): run the command again"
        )


def _gave_up(name: str, url: str, problem: str, asked: str | None) -> str:
    asks = f", and asks to wait {asked} s" if asked else ""
    return f"{_host(url)} failed to send {name} ({problem}{asks}); the received bytes are kept: make weights continues"


def _refused(name: str, url: str, status: int) -> str:
    if status in (404, 410):
        return f"{_host(url)} has no {name} any more ({status}): correct weights.source, then: make weights-lock"
    if status == 416:
        return f"{_host(url)} has another {name} than was locked ({status}): make weights-lock"
    if status in _REFUSED:
        return f"{_host(url)} refuses {name} ({status}): check that you have access, and your token"
    return f"{_host(url)} answers {status} for {name}: try again later; the received bytes are kept"


def _host(url: str) -> str:
    return urlsplit(url).netloc
