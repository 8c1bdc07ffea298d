"""https://...: one file of weights, or a tar of them (plain, gz, bz2 or xz), whose shared top folder is left out."""

from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from models.errors import WeightsError
from models.manifest import Weights
from models.weights import archive, download, formats
from models.weights.download import Progress, Remote
from models.weights.files import described
from models.weights.lock import Lock

_TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def lock(weights: Weights, place: Path, progress: Progress) -> Lock:
    """Download the file, or the tar and its files, to learn what they are.

    Raises:
        WeightsError: no answer, a file that can run code, or a tar that is not safe to unpack.
    """
    name = _name(weights.source)
    is_tar = name.endswith(_TARS)
    if not is_tar:
        formats.selected([name], [name])
    answer = _ask(weights.source)
    remote = Remote(name, answer.size, None, lambda: (weights.source, {}), answer.ranges, answer.version)
    files = download.fetch([remote], place, progress)
    packed = files[name] if is_tar else None
    if is_tar:
        names = archive.unpack(place / name, place, weights.files or formats.DEFAULT_PATTERNS)
        files = {name: described(place / name) for name in names}
    return Lock(source=weights.source, patterns=weights.files, resolved=weights.source, archive=packed, files=files)


def fetch(lock: Lock, place: Path, progress: Progress) -> None:
    """Download the locked file, or the locked tar and unpack it.

    Raises:
        WeightsError: the transfer failed, or the server has something else than was locked.
    """
    name = _name(lock.resolved)
    file = lock.archive or lock.files[name]
    answer = _ask(lock.resolved) if not (place / name).is_file() else _Answer(file.size, True, "")
    remote = Remote(name, file.size, file.sha256, lambda: (lock.resolved, {}), answer.ranges)
    if answer.size != file.size:
        raise WeightsError(f"{lock.resolved} has {answer.size} bytes, locked were {file.size}: make weights-lock")
    download.fetch([remote], place, progress)
    if lock.archive:
        archive.unpack(place / name, place, lock.patterns or formats.DEFAULT_PATTERNS, lock.files)
        (place / name).unlink()


class _Answer(NamedTuple):
    """What a server says of a file: bytes, whether it can begin in the middle, and its ETag."""

    size: int
    ranges: bool
    version: str


def _ask(url: str) -> _Answer:
    """Ask for one byte: that shows whether ranges work, and the size, where a HEAD may show neither.

    Raises:
        WeightsError: the server refuses, cannot be reached, or does not say how large the file is.
    """
    import requests

    headers = {"Accept-Encoding": "identity", "Range": "bytes=0-0"}
    try:
        with download.session() as http, http.get(url, headers=headers, stream=True, timeout=30) as response:
            status, version = response.status_code, response.headers.get("ETag", "")
            size = response.headers.get("Content-Length") if status == 200 else None
            size = response.headers.get("Content-Range", "").rpartition("/")[2] if status == 206 else size
    except requests.RequestException as error:
        raise WeightsError(
            f"cannot reach {url} ({' '.join(str(error).split())[:200]}): make weights tries again"
        ) from error
    if status not in (200, 206):
        raise WeightsError(f"{url} answers {status}: correct weights.source, or see whether you may have it")
    if not (size or "").isdigit():
        raise WeightsError(f"{url} does not say how large it is: put the file where a server says so (Content-Length)")
    return _Answer(int(size or 0), status == 206, version)


def _name(url: str) -> str:
    return PurePosixPath(unquote(urlsplit(url).path)).name
