"""Unpacking a tar of weights: regular files alone, inside the folder, no larger than they may be."""

import shutil
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from models.errors import WeightsError
from models.weights import formats
from models.weights.files import File, check_room

_MOST_MEMBERS = 10_000
_MOST_GROWTH = 200
_BLOCK = 1 << 20


def unpack(packed: Path, place: Path, patterns: Iterable[str], locked: Mapping[str, File] | None = None) -> list[str]:
    """Unpack the files that a pattern matches; returns their names, without a top folder that all members share.

    With `locked`, exactly these files, none of another size.

    Raises:
        WeightsError: a member would leave the folder, is a link or a device, can run code, or the whole is larger than
            it may be; nothing was unpacked then.
    """
    try:
        with tarfile.open(packed) as tar:
            members = _members(tar, packed)
            _check_size(members, packed, place)
            names = formats.selected(members, patterns) if locked is None else list(locked)
            for name in names:
                _check_locked(members.get(name), name, packed, locked)
            for name in names:
                _extract(tar, members[name], place / name)
    except (tarfile.TarError, EOFError) as error:
        raise WeightsError(
            f"{packed.name} is not a whole tar ({error}): see its source, then: make weights-lock"
        ) from error
    return names


def _members(tar: tarfile.TarFile, packed: Path) -> dict[str, tarfile.TarInfo]:
    """The regular files by their path below the shared top folder, if there is one."""
    files: dict[str, tarfile.TarInfo] = {}
    size, most = 0, _most_bytes(packed)
    for count, member in enumerate(tar, 1):
        size += member.size
        if count > _MOST_MEMBERS or size > most:
            raise WeightsError(f"{packed.name} unpacks to far more than it is: no weights do; do not use it")
        _check_path(member, packed)
        if member.isdir():
            continue
        if not member.isreg():
            raise WeightsError(f"{packed.name} holds {member.name}, a link or a device: make the tar of plain files")
        files[str(PurePosixPath(member.name))] = member
    tops = {PurePosixPath(name).parts[0] for name in files}
    if len(tops) == 1 and all("/" in name for name in files):
        files = {name.partition("/")[2]: member for name, member in files.items()}
    return files


def _most_bytes(packed: Path) -> int:
    return packed.stat().st_size * _MOST_GROWTH


def _check_path(member: tarfile.TarInfo, packed: Path) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name:
        raise WeightsError(f"{packed.name} holds {member.name!r}, which would leave its folder: do not use it")


def _check_size(members: Mapping[str, tarfile.TarInfo], packed: Path, place: Path) -> None:
    check_room(place, sum(member.size for member in members.values()))


def _check_locked(member: tarfile.TarInfo | None, name: str, packed: Path, locked: Mapping[str, File] | None) -> None:
    if locked is not None and (member is None or member.size != locked[name].size):
        raise WeightsError(f"{packed.name} does not hold {name} as locked: make weights-lock")


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tar.extractfile(member) as packed, open(target, "wb") as unpacked:  # type: ignore[union-attr]
        shutil.copyfileobj(packed, unpacked, _BLOCK)
