"""Unpacks a tar of weights safely: only regular files, only inside the folder, and with limits on size and number."""

import bz2
import gzip
import io
import lzma
import shutil
import tarfile
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from models.errors import WeightsError
from models.weights import formats
from models.weights.files import File, check_room

ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_MOST_MEMBERS = 10_000
_MOST_GROWTH = 200
_BLOCK = 1 << 20
_OPENERS: dict[str, Any] = {".tar": open, ".gz": gzip.open, ".tgz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_DAMAGE = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)


def unpack(
    packed: Path, folder: Path, patterns: Collection[str], locked: Mapping[str, File] | None = None
) -> list[str]:
    """Unpack the files that match a pattern; returns their names. A top folder that all members share is left out.

    With `locked`, unpack exactly these files with these sizes.

    Raises:
        WeightsError: a member would leave the folder, is a link or a device, or can run code, or the tar unpacks to
            too much. Nothing is unpacked then.
    """
    with _opened(packed) as tar:
        members = _members(tar, packed)
        names = formats.selected(members, patterns) if locked is None else list(locked)
        for name in names:
            _check_locked(members.get(name), name, packed, locked)
        check_room(folder, sum(members[name].size for name in names))
        for name in names:
            _extract(tar, members[name], folder / name)
    return names


@contextmanager
def _opened(packed: Path) -> Iterator[tarfile.TarFile]:
    try:
        with (
            _OPENERS[packed.suffix](packed, "rb") as file,
            tarfile.open(fileobj=_LimitedReader(file, packed), mode="r:") as tar,
        ):
            yield tar
    except _DAMAGE as error:
        raise WeightsError(_damaged(packed, error)) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise WeightsError(_damaged(packed, error)) from error  # an OSError without errno is bz2's error for damage


class _LimitedReader(io.RawIOBase):
    """The bytes of a tar for tarfile. Refuses very large reads, with which a malicious header could fill the memory."""

    def __init__(self, file: BinaryIO, packed: Path) -> None:
        self._file, self._packed = file, packed

    def read(self, count: int = -1) -> bytes:
        if not 0 <= count <= 16 * _BLOCK:
            raise _unlike_weights(self._packed, "has a header of over 16 MiB, or of a negative size")
        return self._file.read(count)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _members(tar: tarfile.TarFile, packed: Path) -> dict[str, tarfile.TarInfo]:
    """The regular files by their path below the shared top folder, if there is one; without files that macOS adds."""
    files: dict[str, tarfile.TarInfo] = {}
    size, most = 0, packed.stat().st_size * _MOST_GROWTH
    for count, member in enumerate(tar, 1):
        size += member.size
        if count > _MOST_MEMBERS:
            raise _unlike_weights(packed, f"holds over {_MOST_MEMBERS:,} files and folders")
        if size > most:
            raise _unlike_weights(packed, f"unpacks to over {_MOST_GROWTH} times its size")
        path = _checked_path(member, packed)
        if member.isdir() or formats.is_litter(path):
            continue
        if path in files:
            raise WeightsError(f"{packed.name} holds {path} twice: make the tar with each file once")
        files[path] = member
    _check_folders(files, packed)
    tops = {PurePosixPath(name).parts[0] for name in files}
    if len(tops) == 1 and all("/" in name for name in files):
        files = {name.partition("/")[2]: member for name, member in files.items()}
    return files


def _checked_path(member: tarfile.TarInfo, packed: Path) -> str:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name:
        raise WeightsError(f"{packed.name} holds {member.name!r}, which would leave its folder: do not use it")
    if not (member.isreg() or member.isdir()):
        raise WeightsError(f"{packed.name} holds {member.name}, a link or a device: make the tar of plain files")
    return str(path)


def _check_folders(names: Iterable[str], packed: Path) -> None:
    known = set(names)
    for name in known:
        for folder in map(str, PurePosixPath(name).parents):
            if folder in known:
                raise WeightsError(f"{packed.name} holds {name} below {folder}, which is a file: do not use it")


def _check_locked(member: tarfile.TarInfo | None, name: str, packed: Path, locked: Mapping[str, File] | None) -> None:
    if locked is not None and (member is None or member.size != locked[name].size):
        raise WeightsError(f"{packed.name} does not hold {name} as locked: make weights-lock")


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tar.extractfile(member) as packed, open(target, "wb") as unpacked:  # type: ignore[union-attr]
        shutil.copyfileobj(packed, unpacked, _BLOCK)


def _unlike_weights(packed: Path, what: str) -> WeightsError:
    return WeightsError(f"{packed.name} {what}, unlike any archive of weights: do not use it")


def _damaged(packed: Path, error: Exception) -> str:
    return f"{packed.name} is not a complete tar ({error}): see its source, then: make weights-lock"
