"""A file on its way: its bytes so far, and a journal of how many bytes of each chunk are there.

The journal has 8 bytes a chunk (little-endian), written after the bytes that they count: whoever is killed loses only
what was not written yet. A file leaves under its final name once its sha256 is right.
"""

import os
import struct
from pathlib import Path

from models.errors import WeightsError
from models.weights.files import File, cannot_write, write_all

CHUNK = 32 << 20
FOLDER = ".parts"
_COUNT = struct.Struct("<Q")


class Part:
    """`name`: its path below `place`; `size`: bytes; `sha256`: None when unknown; `key`: the same for the same bytes.

    `ranges`: whether the server can begin in the middle; without it the file is one chunk.
    """

    def __init__(self, place: Path, name: str, size: int, sha256: str | None, key: str, ranges: bool) -> None:
        self.name, self.size, self.ranges = name, size, ranges
        self._sha256, self._final = sha256, place / name
        (place / FOLDER).mkdir(parents=True, exist_ok=True)
        self._bytes, self._journal = place / FOLDER / key, place / FOLDER / f"{key}.journal"
        self._chunk = CHUNK if ranges else max(size, 1)
        self.done = self._noted(-(-size // self._chunk))
        self._data = os.open(self._bytes, os.O_RDWR | os.O_CREAT, 0o644)
        self._notes = os.open(self._journal, os.O_RDWR | os.O_CREAT, 0o644)
        os.ftruncate(self._data, size)

    @property
    def there(self) -> int:
        """Bytes that have come."""
        return sum(self.done)

    def begin(self, chunk: int) -> int:
        """Where in the file a chunk begins."""
        return chunk * self._chunk

    def end(self, chunk: int) -> int:
        """Where in the file a chunk ends; the last one may be shorter."""
        return min(self.begin(chunk) + self._chunk, self.size)

    def next(self, chunk: int) -> int:
        """Where in the file the first byte of a chunk is that has not come; its end when all have."""
        return self.begin(chunk) + self.done[chunk]

    def write(self, chunk: int, block: bytes) -> None:
        """Add to a chunk what comes next in it.

        Raises:
            WeightsError: it is more than the chunk holds, or the disk refuses.
        """
        if self.next(chunk) + len(block) > self.end(chunk):
            raise WeightsError(f"the server sends more of {self.name} than its size says: make weights-lock")
        try:
            write_all(self._data, block, self.next(chunk))
            self._note(chunk, self.done[chunk] + len(block))
        except OSError as error:
            raise cannot_write(self._final, error) from error

    def restart(self, chunk: int) -> int:
        """Forget a chunk, where a server cannot go on in the middle; returns how many bytes that were."""
        forgotten = self.done[chunk]
        self._note(chunk, 0)
        return forgotten

    def read(self, at: int, end: int) -> bytes:
        """Bytes that have come."""
        return os.pread(self._data, end - at, at)

    def whole_up_to(self, at: int) -> int:
        """How far the file is there from its beginning, which it is known to be up to `at`."""
        for chunk in range(at // self._chunk, len(self.done)):
            if self.next(chunk) < self.end(chunk):
                return self.next(chunk)
        return self.size

    def finish(self, found: str) -> File:
        """Give the file its name; `found` is the sha256 of its bytes.

        Raises:
            WeightsError: it is not the right one; the bytes are thrown away.
        """
        self._journal.unlink()
        if self._sha256 not in (None, found):
            self._bytes.unlink()
            raise WeightsError(
                f"{self.name} came with sha256 {found}, expected {self._sha256}: "
                "make weights tries again; if the source has changed: make weights-lock"
            )
        self._final.parent.mkdir(parents=True, exist_ok=True)
        self._bytes.replace(self._final)
        return File(sha256=found, size=self.size)

    def close(self) -> None:
        """What has come stays for the next try."""
        os.close(self._data)
        os.close(self._notes)

    def _noted(self, chunks: int) -> list[int]:
        notes = self._journal.read_bytes() if self._journal.is_file() and self._bytes.is_file() else b""
        width = chunks * _COUNT.size
        return [count for (count,) in _COUNT.iter_unpack(notes[:width].ljust(width, b"\0"))]

    def _note(self, chunk: int, count: int) -> None:
        write_all(self._notes, _COUNT.pack(count), chunk * _COUNT.size)
        self.done[chunk] = count
