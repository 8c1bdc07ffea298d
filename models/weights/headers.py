"""Downloads only the headers of weight files. Each is stored in a sparse file of the full size.

So the content of a model of many gigabytes is known before it is downloaded.
"""

import struct
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from models.errors import WeightsError
from models.weights import gguf_format, openvino_format
from models.weights.download import CONNECTIONS, Remote
from models.weights.transfer import BUSY, MOST_WAIT, TRIES, ask, refuse_certificate, seconds_to_wait

FIRST, _MOST, _GROWTH = 1 << 16, 1 << 28, 16


def fetch(remotes: Sequence[Remote], folder: Path) -> None:
    """Put the headers into `folder`, under the files' names.

    Raises:
        WeightsError: a server does not send one.
    """
    with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="headers") as pool:
        list(pool.map(partial(_fetch, folder=folder), remotes))


def _fetch(remote: Remote, folder: Path) -> None:
    path = folder / remote.name
    path.parent.mkdir(parents=True, exist_ok=True)
    has_header = path.name != openvino_format.VALUES  # the .xml beside it describes its content
    wanted, there = min(FIRST, remote.size) if has_header else 0, b""
    while True:
        there = _begin(remote, wanted) if wanted else there
        with open(path, "wb") as file:
            file.write(there)
            file.truncate(remote.size)
        wanted = min(_header_size(path, len(there)), remote.size)
        if wanted <= len(there):
            return


def _begin(remote: Remote, count: int) -> bytes:
    """The first `count` bytes of a file, from a range or from the beginning of the complete file."""
    import requests
    import urllib3

    problem = ""
    for failures in range(1, TRIES + 1):
        url, headers = remote.locate()
        asked = None
        try:
            with (
                requests.Session() as http,
                ask(http, url, headers | {"Range": f"bytes=0-{count - 1}"}) as answer,
            ):
                if answer.status_code in (200, 206) and len(began := answer.raw.read(count)) == count:
                    return bytes(began)
                problem, asked = f"it answers {answer.status_code}", answer.headers.get("Retry-After")
                if answer.status_code not in (200, 206, *BUSY):
                    break
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            refuse_certificate(url, error)
            problem = " ".join(str(error).split())[:200]
        if (wait := seconds_to_wait(failures, asked)) > MOST_WAIT:
            break
        time.sleep(wait)
    raise WeightsError(f"the header of {remote.name} cannot be read ({problem}): try again later")


def _header_size(path: Path, there: int) -> int:
    """The size of a file's header in bytes; 0 if it has none, which is reported elsewhere. `there`: bytes so far."""
    if path.suffix == ".safetensors":
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
        return 8 + length if length < _MOST else 0
    if path.suffix != ".gguf":
        return 0
    try:
        _, tensors = gguf_format.read_part(path)
        size = min((tensor.begin for tensor in tensors.values()), default=0)
    except WeightsError:  # it is incomplete, or damaged
        size = there * _GROWTH
    return size if size < _MOST else 0
