"""A partly downloaded file: its bytes so far, and a journal with the number of received bytes of each chunk.

The journal has 8 bytes per chunk (little-endian), written after the bytes that they count. So a killed process loses
only bytes that were not written yet, at most one block (1 MiB) per connection. A file gets its final name once its
sha256 is right. Files are open only while they are written or hashed, as a repository may have more files than a
process may open.
"""

import os
import struct
import threading
from pathlib import Path

from models.errors import WeightsError
from models.weights.files import File, cannot_write, write_all

CHUNK = 32 << 20
FOLDER = ".parts"
_COUNT = struct.Struct("<Q")


class Part:
    """`name`: its path below `folder`; `size`: bytes; `sha256`: None if unknown; `key`: identifies the file's content.

    `ranges`: whether the server supports ranges; without them the file is one chunk. `etag`: what each response must
    have, if set.
    """

    def __init__(
        self, folder: Path, name: str, size: int, sha256: str | None, key: str, ranges: bool, etag: str
    ) -> None:
        self.name, self.size, self.ranges, self.etag = name, size, ranges, etag
        self._sha256, self._final = sha256, folder / name
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        self._bytes, self._journal = folder / FOLDER / key, folder / FOLDER / f"{key}.journal"
        self._chunk = CHUNK if ranges else max(size, 1)
        self.done = self._noted(-(-size // self._chunk))
        self._data = self._notes = self._read = -1
        self._writing = threading.Lock()

    @property
    def there(self) -> int:
        """The number of received bytes."""
        return sum(self.done)

    def begin(self, chunk: int) -> int:
        """The offset in the file at which a chunk begins."""
        return chunk * self._chunk

    def end(self, chunk: int) -> int:
        """The offset in the file at which a chunk ends; the last chunk may be shorter."""
        return min(self.begin(chunk) + self._chunk, self.size)

    def next(self, chunk: int) -> int:
        """The offset in the file of the first missing byte of a chunk; the chunk's end if none is missing."""
        return self.begin(chunk) + self.done[chunk]

    def write(self, chunk: int, block: bytes) -> None:
        """Append a block to a chunk.

        Raises:
            WeightsError: the chunk would become too large, or the write failed.
        """
        if self.next(chunk) + len(block) > self.end(chunk):
            raise WeightsError(f"the server sends more of {self.name} than its size says: make weights-lock")
        try:
            with self._writing:  # the kernel lets only one thread write to a file; without this lock the others spin
                self._open()
                write_all(self._data, block, self.next(chunk))
                self._note(chunk, self.done[chunk] + len(block))
                if self.there == self.size:
                    self._close_written()
        except OSError as error:
            raise cannot_write(self._final, error) from error

    def restart(self, chunk: int) -> int:
        """Drop the bytes of a chunk, if a server cannot continue in the middle; returns how many they were."""
        forgotten = self.done[chunk]
        if forgotten:
            with self._writing:
                self._open()
                self._note(chunk, 0)
        return forgotten

    def read(self, at: int, end: int) -> bytes:
        """Received bytes, from offset `at` to `end`."""
        if self._read < 0:
            self._read = os.open(self._bytes, os.O_RDONLY)
        return os.pread(self._read, end - at, at)

    def whole_up_to(self, at: int) -> int:
        """The offset up to which the file is complete; it is known to be complete up to `at`."""
        for chunk in range(at // self._chunk, len(self.done)):
            if self.next(chunk) < self.end(chunk):
                return self.next(chunk)
        return self.size

    def finish(self, found: str) -> File:
        """Give the file its name; `found` is the sha256 of its bytes.

        Raises:
            WeightsError: it is not the right one; the bytes are deleted.
        """
        self.close()
        self._bytes.touch()
        self._journal.unlink(missing_ok=True)
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
        """Close the files; the received bytes stay for the next try."""
        with self._writing:  # a thread that has just written the last block may also be about to close
            self._close_written()
        if self._read >= 0:
            os.close(self._read)
            self._read = -1

    def _open(self) -> None:
        if self._data < 0:
            self._data = os.open(self._bytes, os.O_RDWR | os.O_CREAT, 0o644)
            self._notes = os.open(self._journal, os.O_RDWR | os.O_CREAT, 0o644)
            os.ftruncate(self._data, self.size)

    def _close_written(self) -> None:
        for descriptor in (self._data, self._notes):
            if descriptor >= 0:
                os.close(descriptor)
        self._data = self._notes = -1

    def _noted(self, chunks: int) -> list[int]:
        notes = self._journal.read_bytes() if self._journal.is_file() and self._bytes.is_file() else b""
        width = chunks * _COUNT.size
        counts = [count for (count,) in _COUNT.iter_unpack(notes[:width].ljust(width, b"\0"))]
        return [count if count <= self.end(chunk) - self.begin(chunk) else 0 for chunk, count in enumerate(counts)]

    def _note(self, chunk: int, count: int) -> None:
        write_all(self._notes, _COUNT.pack(count), chunk * _COUNT.size)
        self.done[chunk] = count
