"""https://...: a file of weights, or a tar (plain, gz, bz2 or xz). A top folder that all members share is left out."""

import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from models.errors import WeightsError
from models.origin import Weights
from models.weights import archive, completeness, download, formats, transfer
from models.weights.download import Progress, Remote
from models.weights.files import described, verify
from models.weights.lock import Lock
from models.weights.sources import local_lock


def lock(weights: Weights, folder: Path, progress: Progress) -> Lock:
    """Download the file or the tar, and lock it.

    Raises:
        WeightsError: there is no response, a file can run code, or a tar is not safe to unpack.
    """
    name = _name(weights.source)
    is_tar = name.endswith(archive.ENDINGS)
    if not is_tar:
        formats.selected([name], [name])
    answer = _ask(weights.source)
    remote = Remote(name, answer.size, None, lambda: (weights.source, {}), answer.ranges, etag=answer.etag)
    files = download.fetch([remote], folder, progress)
    packed = files[name] if is_tar else None
    if is_tar:
        names = archive.unpack(folder / name, folder, weights.files or formats.DEFAULT_PATTERNS)
        files = {name: described(folder / name) for name in completeness.only_once(names, folder)}
    return local_lock.lock(weights, list(files), folder, files, packed)


def fetch(lock: Lock, folder: Path, progress: Progress) -> None:
    """Download the locked file, or the locked tar and unpack it.

    Raises:
        WeightsError: the download failed, or the server has another file than the locked one.
    """
    name = _name(lock.resolved)
    file = lock.archive or lock.files[name]
    answer = _ask(lock.resolved) if not (folder / name).is_file() else _Answer(file.size, True, "")
    remote = Remote(name, file.size, file.sha256, lambda: (lock.resolved, {}), answer.ranges)
    if answer.size != file.size:
        raise WeightsError(f"{lock.resolved} has {answer.size} bytes, locked were {file.size}: make weights-lock")
    download.fetch([remote], folder, progress, then=lock.size if lock.archive else 0)
    if lock.archive:
        archive.unpack(folder / name, folder, lock.patterns or formats.DEFAULT_PATTERNS, lock.files)
        verify(folder, lock.files, "make weights-lock", full=True)
        (folder / name).unlink()


class _Answer(NamedTuple):
    """What a server says about a file: its size in bytes, whether ranges work, and its ETag if that is strong."""

    size: int
    ranges: bool
    etag: str


def _ask(url: str) -> _Answer:
    """Request one byte. The response shows the size and whether ranges work; a HEAD may show neither.

    Raises:
        WeightsError: the server refuses, cannot be reached, or does not say how large the file is.
    """
    for tried in range(1, transfer.TRIES + 1):
        status, headers = _head(url)
        wait = transfer.seconds_to_wait(tried, headers.get("Retry-After"))
        if status not in transfer.BUSY or tried == transfer.TRIES or wait > transfer.MOST_WAIT:
            break
        time.sleep(wait)
    if status in transfer.BUSY:
        raise WeightsError(f"{url} is busy (it answers {status}): try again later")
    if status not in (200, 206):
        raise WeightsError(f"{url} answers {status}: correct weights.source, or check that you have access to it")
    if packed := transfer.compression(_name(url), headers):
        raise WeightsError(
            f"{url} is sent compressed ({packed}), though requested uncompressed: take it from another server"
        )
    size = headers.get("Content-Range", "").rpartition("/")[2] if status == 206 else headers.get("Content-Length", "")
    if not size.isdigit():
        raise WeightsError(f"{url} does not say how large it is: put the file where a server says so (Content-Length)")
    etag = headers.get("ETag", "")
    return _Answer(int(size), status == 206, etag if etag.startswith('"') else "")


def _head(url: str) -> tuple[int, Mapping[str, str]]:
    """The status and headers of the response to a request for the first byte."""
    import requests

    try:
        with requests.Session() as http, transfer.ask(http, url, {"Range": "bytes=0-0"}) as response:
            return response.status_code, response.headers
    except requests.RequestException as error:
        transfer.refuse_certificate(url, error)
        words = " ".join(str(error).split())[:200]
        raise WeightsError(f"cannot reach {url} ({words}): make weights tries again") from error


def _name(url: str) -> str:
    return PurePosixPath(unquote(urlsplit(url).path)).name
