"""Files and folders of weights: their hashes and sizes, how they are verified, and folders that are made atomically."""

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
    """The expected content of a file; `size` in bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)


def described(path: Path) -> File:
    return File(sha256=sha256(path), size=path.stat().st_size)


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sizes_match(folder: Path, files: Mapping[str, File]) -> bool:
    """Whether every file is in `folder` with the right size."""
    paths = {folder / name: file.size for name, file in files.items()}
    return all(path.is_file() and path.stat().st_size == size for path, size in paths.items())


def verify(folder: Path, files: Mapping[str, File], remedy: str, full: bool) -> None:
    """Check names, sizes and headers; with `full` also every byte.

    Raises:
        WeightsError: names the file, what was expected and found, and `remedy`, the command that fixes it.
    """
    for name, file in sorted(files.items(), key=lambda entry: entry[1].size):
        path = folder / name
        if not path.is_file():
            raise WeightsError(f"{path} is missing: {remedy}")
        again = f"rm -r {folder}, then: {remedy}"
        if (size := path.stat().st_size) != file.size:
            raise WeightsError(f"{path} has {size} bytes, expected {file.size}: {again}")
        if full and (digest := sha256(path)) != file.sha256:
            raise WeightsError(f"{path} has sha256 {digest}, expected {file.sha256}: {again}")
        formats.check_header(path)  # after the sha256: a header that is wrong as locked needs another source


@contextmanager
def new_folder(final: Path, folder: Path | None = None) -> Iterator[Path]:
    """A folder beside `final` that is renamed to `final` when the block succeeds.

    If the block fails, a temporary folder is removed, but a given `folder` is kept for the next try. Folders of killed
    processes are removed first, so no other process may work on the same `final`.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    for left in final.parent.glob(f".{final.name}-*"):
        shutil.rmtree(left, ignore_errors=True)
    made = folder or Path(tempfile.mkdtemp(prefix=f".{final.name}-", dir=final.parent))
    try:
        made.mkdir(exist_ok=True)
        yield made
        made.chmod(0o755)
        shutil.rmtree(final, ignore_errors=True)
        made.rename(final)
    except OSError as error:
        raise cannot_write(final, error) from error
    finally:
        if not folder:
            shutil.rmtree(made, ignore_errors=True)
        elif made.is_dir() and not any(made.iterdir()):
            made.rmdir()


def check_room(folder: Path, needed: int) -> None:
    """Check that there is room for `needed` bytes, before the work begins.

    Raises:
        WeightsError: there is not; gives both sizes.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise WeightsError(
            f"{folder} has {free / 1e6:.0f} MB free, and {needed / 1e6:.0f} MB are needed: "
            "free some disk, then: make weights"
        )


def cannot_write(path: Path, error: OSError) -> WeightsError:
    advice = "free some disk" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "check its folder and permissions"
    return WeightsError(f"cannot write {path}: {error.strerror or error}; {advice}, then: make weights")


def write_all(descriptor: int, block: bytes, at: int) -> None:
    """Write a complete block at an offset of a file (os.pwrite may write less)."""
    view = memoryview(block)
    while view:
        count = os.pwrite(descriptor, view, at)
        view, at = view[count:], at + count
