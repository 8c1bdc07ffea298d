"""Files and folders of weights: what a file must be, whether it is, and folders that are made whole or not at all."""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from models.errors import WeightsError
from models.weights import formats

_BLOCK = 1 << 20


class File(BaseModel):
    """What a file must be. `size`: bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)


def described(path: Path) -> File:
    """What a file is."""
    return File(sha256=sha256(path), size=path.stat().st_size)


def sha256(path: Path) -> str:
    """The hexadecimal sha256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sizes_match(place: Path, files: Mapping[str, File]) -> bool:
    """Whether every file is in `place` with its right size."""
    return all((place / name).is_file() and (place / name).stat().st_size == file.size for name, file in files.items())


def verify(place: Path, files: Mapping[str, File], remedy: str, full: bool) -> None:
    """Check names, sizes and headers; with `full` every byte.

    Raises:
        WeightsError: names the file, what was expected and found, and `remedy`, the command that mends it.
    """
    for name, file in sorted(files.items(), key=lambda entry: entry[1].size):
        path = place / name
        if not path.is_file():
            raise WeightsError(f"{path} is missing: {remedy}")
        again = f"rm -r {place}, then: {remedy}"
        if (size := path.stat().st_size) != file.size:
            raise WeightsError(f"{path} has {size} bytes, expected {file.size}: {again}")
        if full and (digest := sha256(path)) != file.sha256:
            raise WeightsError(f"{path} has sha256 {digest}, expected {file.sha256}: {again}")
        formats.check_header(path)  # after the sha256: a header that is wrong as locked needs another source


@contextmanager
def new_folder(final: Path, place: Path | None = None) -> Iterator[Path]:
    """A folder beside `final` that takes its name when the block ends well.

    When it does not, a folder of its own making goes; a given `place` stays, for the next try to go on from.
    What a killed process made goes before the work: no other may be at it for the same `final`.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    for left in final.parent.glob(f".{final.name}-*"):
        shutil.rmtree(left, ignore_errors=True)
    made = place or Path(tempfile.mkdtemp(prefix=f".{final.name}-", dir=final.parent))
    try:
        made.mkdir(exist_ok=True)
        yield made
        made.chmod(0o755)
        shutil.rmtree(final, ignore_errors=True)
        made.rename(final)
    except OSError as error:
        raise cannot_write(final, error) from error
    finally:
        if not place:
            shutil.rmtree(made, ignore_errors=True)
        elif made.is_dir() and not any(made.iterdir()):
            made.rmdir()


def check_room(place: Path, needed: int) -> None:
    """Refuse before the work when `needed` bytes have no room.

    Raises:
        WeightsError: says how much is missing.
    """
    free = shutil.disk_usage(place).free
    if free < needed:
        raise WeightsError(
            f"{place} has {free / 1e6:.0f} MB free, and {needed / 1e6:.0f} MB are to come: "
            "free some disk, then: make weights"
        )


def cannot_write(path: Path, error: OSError) -> WeightsError:
    """What to say when the disk refuses."""
    advice = "free some disk" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "see to it"
    return WeightsError(f"cannot write {path}: {error.strerror or error}; {advice}, then: make weights")


def write_all(descriptor: int, block: bytes, at: int) -> None:
    """Write a whole block at a place of a file (os.pwrite may write less)."""
    view = memoryview(block)
    while view:
        count = os.pwrite(descriptor, view, at)
        view, at = view[count:], at + count
