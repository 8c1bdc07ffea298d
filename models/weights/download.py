"""Downloading: several files and several ranges of each at once, hashed on the way, resumed where it broke off."""

import hashlib
import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from models.errors import WeightsError
from models.weights.files import File, check_room, described
from models.weights.parts import FOLDER, Part

CONNECTIONS = 4
_BLOCK = 1 << 20
_TIMEOUTS = (10, 30)  # seconds to connect, and between two pieces of an answer
_TRIES = 6
_BUSY = (408, 429, 500, 502, 503, 504)


class Progress(Protocol):
    """Told of a download's `total` bytes and how many are `done` already, then of all that come."""

    def start(self, total: int, done: int) -> None: ...

    def advance(self, count: int) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True)
class Remote:
    """A file to download.

    `size`: bytes; `sha256`: None when it is not known yet; `locate`: its URL and the headers to send there, asked again
    when the server refuses them (such addresses expire); `ranges`: whether the server can begin in the middle;
    `version`: what tells one content of an unknown sha256 from the next (an ETag).
    """

    name: str
    size: int
    sha256: str | None
    locate: Callable[[], tuple[str, dict[str, str]]]
    ranges: bool = True
    version: str = ""

    def part(self, place: Path) -> Part:
        """What `place` holds of it."""
        key = self.sha256 or hashlib.sha256(f"{self.name} {self.size} {self.version}".encode()).hexdigest()
        return Part(place, self.name, self.size, self.sha256, key, self.ranges)


def fetch(remotes: Sequence[Remote], place: Path, progress: Progress) -> dict[str, File]:
    """Download into `place` what it does not hold yet, and return what each file is.

    Raises:
        WeightsError: the disk is too small, a server refuses, or the bytes are not the right ones; says what to do.
            What has come is kept for the next try, except wrong bytes.
    """
    files = {remote.name: file for remote in remotes if (file := _there(place, remote))}
    wanted = {remote.name: remote for remote in remotes if remote.name not in files}
    parts = [remote.part(place) for remote in wanted.values()]
    try:
        missing = sum(part.size - part.there for part in parts)
        check_room(place, missing)
        total = sum(remote.size for remote in remotes)
        progress.start(total, total - missing)
        files |= _Download(parts, wanted, progress).run()
    finally:
        progress.stop()
        for part in parts:
            part.close()
    shutil.rmtree(place / FOLDER, ignore_errors=True)
    return files


def session() -> Any:
    """A requests.Session that asks a busy server again, when that says; proxies and certificates as requests has them.

    Source: https://requests.readthedocs.io/en/latest/user/advanced/
    """
    import requests
    import urllib3

    patience = urllib3.Retry(
        total=_TRIES, read=0, backoff_factor=0.3, status_forcelist=_BUSY, raise_on_status=False, allowed_methods=None
    )
    made = requests.Session()
    for scheme in ("http://", "https://"):
        made.mount(scheme, requests.adapters.HTTPAdapter(max_retries=patience))
    return made


class _Download:
    """Workers that take chunk after chunk, each on its own connection, and one thread that hashes behind them."""

    def __init__(self, parts: Sequence[Part], remotes: dict[str, Remote], progress: Progress) -> None:
        self._parts, self._remotes, self._progress = parts, remotes, progress
        self._chunks = iter([(part, chunk) for part in parts for chunk in range(len(part.done))])
        self._files: dict[str, File] = {}
        self._came, self._stopped = threading.Condition(), False

    def run(self) -> dict[str, File]:
        """All files, each under its name; the first error stops every thread."""
        with ThreadPoolExecutor(CONNECTIONS + 1, thread_name_prefix="download") as pool:
            work = [pool.submit(self._hash), *(pool.submit(self._work) for _ in range(CONNECTIONS))]
            try:
                for job in wait(work, return_when=FIRST_EXCEPTION).done:
                    job.result()
            finally:
                with self._came:
                    self._stopped = True
                    self._came.notify_all()
        return self._files

    def _work(self) -> None:
        with session() as http:
            while not self._stopped:
                with self._came:
                    task = next(self._chunks, None)
                if task is None:
                    return
                self._bring(http, *task)

    def _bring(self, http: Any, part: Part, chunk: int) -> None:
        """Bring one chunk; a broken connection is tried again, more patiently each time that nothing came."""
        import requests
        import urllib3

        locate = self._remotes[part.name].locate
        url, headers = locate()
        failures = refusals = 0
        while part.next(chunk) < part.end(chunk) and not self._stopped:
            before = part.next(chunk)
            try:
                status = self._request(http, url, headers, part, chunk)
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                failures = 1 if part.next(chunk) > before else failures + 1
                if failures == _TRIES:
                    raise WeightsError(_broke_off(part.name, url, error)) from error
                self._pause(0.1 * 2**failures)
                continue
            if status in (401, 403) and refusals < 2:
                refusals += 1
                url, headers = locate()
            elif status not in (200, 206):
                raise WeightsError(_refused(part.name, url, status))

    def _request(self, http: Any, url: str, headers: dict[str, str], part: Part, chunk: int) -> int:
        """Ask for the rest of a chunk and write its bytes as they come; the answer's status."""
        if not part.ranges:
            self._progress.advance(-part.restart(chunk))
        begin = part.next(chunk)
        asked = {**headers, "Accept-Encoding": "identity"}
        if part.ranges:
            asked["Range"] = f"bytes={begin}-{part.end(chunk) - 1}"
        with http.get(url, headers=asked, stream=True, timeout=_TIMEOUTS) as response:
            if response.status_code in (200, 206):
                _check_range(response, part, begin, part.end(chunk))
                for block in response.raw.stream(_BLOCK, decode_content=False):
                    if self._stopped:
                        break
                    part.write(chunk, block)
                    self._progress.advance(len(block))
                    with self._came:
                        self._came.notify_all()
            return int(response.status_code)

    def _hash(self) -> None:
        """Hash each file as far as it has come, from the pages just written, and give it its name at its end."""
        for part in self._parts:
            digest, at = hashlib.sha256(), 0
            while at < part.size:
                end = min(self._wait_for(part, at), at + 4 * _BLOCK)
                if self._stopped:
                    return
                digest.update(part.read(at, end))
                at = end
            self._files[part.name] = part.finish(digest.hexdigest())

    def _wait_for(self, part: Part, at: int) -> int:
        """How far the file is there, once that is further than `at` or the download has stopped."""
        with self._came:
            self._came.wait_for(lambda: self._stopped or part.whole_up_to(at) > at)
            return part.whole_up_to(at)

    def _pause(self, seconds: float) -> None:
        with self._came:
            self._came.wait_for(lambda: self._stopped, seconds)


def _there(place: Path, remote: Remote) -> File | None:
    """The file of an earlier try, when its bytes are the right ones."""
    path = place / remote.name
    if remote.sha256 is None or not path.is_file() or path.stat().st_size != remote.size:
        return None
    file = described(path)
    return file if file.sha256 == remote.sha256 else None


def _check_range(response: Any, part: Part, begin: int, end: int) -> None:
    """Refuse an answer that is another part of the file than was asked for, or of a file of another size."""
    if response.status_code == 206:
        found = response.headers.get("Content-Range", "")
        if not (found.startswith(f"bytes {begin}-") and found.endswith(f"/{part.size}")):
            raise WeightsError(
                f"{part.name} should have {part.size} bytes, but the server answers {found or 'no Content-Range'!r}: "
                "the source has changed; make weights-lock"
            )
    elif part.ranges and end - begin < part.size:
        raise WeightsError(f"{_host(response.url)} no longer sends {part.name} in ranges: make weights-lock")


def _broke_off(name: str, url: str, error: Exception) -> str:
    words = " ".join(str(error).split())[:200]
    return f"{_host(url)} broke off {name} again and again ({words}); what has come is kept: make weights goes on"


def _refused(name: str, url: str, status: int) -> str:
    if status in (404, 410):
        return f"{_host(url)} has no {name} any more ({status}): correct weights.source, then: make weights-lock"
    if status == 416:
        return f"{_host(url)} has another {name} than was locked ({status}): make weights-lock"
    if status in (401, 403):
        return f"{_host(url)} does not let you have {name} ({status}): see whether you may, and your token"
    return f"{_host(url)} answers {status} for {name}: try again later; what has come is kept"


def _host(url: str) -> str:
    return urlsplit(url).netloc
