"""Downloads several files, and several ranges of each, at once; hashes them meanwhile, and resumes interrupted ones."""

import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from models.weights.files import File, check_room, described
from models.weights.parts import FOLDER, Part
from models.weights.transfer import Address, Connection, Located

CONNECTIONS = 4
_HASHED_AT_ONCE = 4 << 20


class Progress(Protocol):
    """Shows a download: gets its `total` bytes and how many are `done` already, then the count of each new block."""

    def start(self, total: int, done: int) -> None: ...

    def advance(self, count: int) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True)
class Remote:
    """A file to download.

    `size`: bytes; `sha256`: None if not known yet; `locate`: returns its URL and the headers to send there, and is
    called again when the server refuses them, as such URLs expire; `ranges`: whether the server supports ranges;
    `version`: identifies the content if the sha256 is not known; `etag`: what each response must have, if set.
    """

    name: str
    size: int
    sha256: str | None
    locate: Callable[[], Located]
    ranges: bool = True
    version: str = ""
    etag: str = ""

    def part(self, folder: Path) -> Part:
        """The part of it that is in `folder` already."""
        content = self.sha256 or f"{self.size} {self.version} {self.etag}"
        key = hashlib.sha256(f"{self.name} {content}".encode()).hexdigest()
        return Part(folder, self.name, self.size, self.sha256, key, self.ranges, self.etag)


def fetch(remotes: Sequence[Remote], folder: Path, progress: Progress, then: int = 0) -> dict[str, File]:
    """Download the files that are missing in `folder`, and return all hashes; needs room for `then` more bytes.

    All files are located before the first is downloaded, so that missing access to one is found before any download.

    Raises:
        WeightsError: the disk is too small, a server refuses, or the bytes are not the right ones; says what to do.
            The received bytes are kept for the next try, except wrong ones.
    """
    files = {remote.name: file for remote in remotes if (file := _there(folder, remote))}
    wanted = [remote for remote in remotes if remote.name not in files]
    parts: list[Part] = []
    try:
        parts.extend(remote.part(folder) for remote in wanted)
        missing = sum(part.size - part.there for part in parts)
        check_room(folder, missing + then)
        with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="locate") as pool:
            addresses = list(pool.map(Address, [remote.locate for remote in wanted]))
        total = sum(remote.size for remote in remotes)
        progress.start(total, total - missing)
        files |= _Download(parts, addresses, progress).run()
    finally:
        progress.stop()
        for part in parts:
            part.close()
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    return files


class _Download:
    """Workers that download one chunk after another, each on its own connection, and one thread that hashes."""

    def __init__(self, parts: Sequence[Part], addresses: Sequence[Address], progress: Progress) -> None:
        self._parts, self._progress = parts, progress
        self._chunks = self._missing(addresses)
        self._stopped, self._came = threading.Event(), threading.Condition()

    def run(self) -> dict[str, File]:
        """Download all files and give each its name; the first error stops every thread."""
        with ThreadPoolExecutor(CONNECTIONS + 1, thread_name_prefix="download") as pool:
            hashed = pool.submit(self._hash)
            jobs: list[Future[Any]] = [hashed, *(pool.submit(self._work) for _ in range(CONNECTIONS))]
            try:
                for job in wait(jobs, return_when=FIRST_EXCEPTION).done:
                    job.result()
            finally:
                self._stopped.set()
                self._tell(0)
        return hashed.result()

    def _missing(self, addresses: Sequence[Address]) -> Iterator[tuple[Part, int, Address]]:
        for part, address in zip(self._parts, addresses, strict=True):
            for chunk in range(len(part.done)):
                if part.next(chunk) < part.end(chunk):
                    yield part, chunk, address

    def _work(self) -> None:
        with closing(Connection(self._stopped, self._tell)) as connection:
            while not self._stopped.is_set():
                with self._came:
                    task = next(self._chunks, None)
                if task is None:
                    return
                connection.bring(*task)

    def _tell(self, count: int) -> None:
        if count:
            self._progress.advance(count)
        with self._came:
            self._came.notify_all()

    def _hash(self) -> dict[str, File]:
        """Hash each file while it arrives, from the pages just written, and give it its name when it is complete."""
        files = {}
        for part in self._parts:
            digest, at = hashlib.sha256(), 0
            while at < part.size:
                end = min(self._wait_for(part, at), at + _HASHED_AT_ONCE)
                if self._stopped.is_set():
                    return {}
                digest.update(part.read(at, end))
                at = end
            files[part.name] = part.finish(digest.hexdigest())
        return files

    def _wait_for(self, part: Part, at: int) -> int:
        """Wait until the file is complete beyond `at`, or the download has stopped; returns the offset reached."""
        with self._came:
            self._came.wait_for(lambda: self._stopped.is_set() or part.whole_up_to(at) > at)
            return part.whole_up_to(at)


def _there(folder: Path, remote: Remote) -> File | None:
    """The file of an earlier try, if its bytes are the right ones."""
    path = folder / remote.name
    if remote.sha256 is None or not path.is_file() or path.stat().st_size != remote.size:
        return None
    file = described(path)
    return file if file.sha256 == remote.sha256 else None
