"""hf://ORG/NAME@REVISION: a repository of the Hugging Face Hub.

huggingface_hub talks to the Hub and finds the token (HF_TOKEN, or `hf auth login`); it also gives the URLs of files.
https://huggingface.co/docs/huggingface_hub
"""

import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from models.errors import WeightsError
from models.facts import Facts
from models.origin import Weights
from models.weights import completeness, download, formats, headers, model_facts, openvino_format
from models.weights.download import Progress, Remote
from models.weights.files import File
from models.weights.lock import Lock
from models.weights.transfer import BUSY, MOST_WAIT, TRIES, Located, seconds_to_wait

_READ = (".json", openvino_format.MODEL)
_SOURCE = re.compile(r"hf://(?P<repository>[^@]+)@(?P<revision>.+)")


def lock(weights: Weights, folder: Path, progress: Progress) -> Lock:
    """Resolve the revision to a commit. The Hub gives the sha256 of large files; small ones are downloaded and hashed.

    Raises:
        WeightsError: the repository, the revision or the access to it is missing; says where to get it.
    """
    repository, revision = _parts(weights.source)
    with _explained(repository, revision):
        info = _info(repository, revision)
    commit, siblings = str(info.sha), {sibling.rfilename: sibling for sibling in info.siblings or []}
    locate = _locator(repository, commit)
    names = formats.selected(siblings, weights.files or formats.DEFAULT_PATTERNS)
    listed = {name: _listed(siblings[name]) or _asked(repository, commit, name) for name in names}
    files = {name: File(sha256=sha256, size=size) for name, (sha256, size) in listed.items() if sha256}
    locate(next(iter(files), names[0]))()  # fail before downloading anything if access is missing
    small = [
        Remote(name, size, sha256 or None, locate(name), version=str(siblings[name].blob_id))
        for name, (sha256, size) in listed.items()
        if not sha256 or name.endswith(_READ)  # files that describe the model, which may be large themselves
    ]
    files |= download.fetch(small, folder, progress)
    names = completeness.only_once(names, folder)
    large = [
        Remote(name, files[name].size, None, locate(name)) for name in names if name not in {one.name for one in small}
    ]
    facts = _facts(large, names, folder)
    return Lock(
        source=weights.source,
        patterns=weights.files,
        resolved=f"hf://{repository}@{commit}",
        facts=facts,
        files={name: files[name] for name in names},
    )


def _facts(large: Sequence[Remote], names: Sequence[str], small: Path) -> Facts:
    """The facts of the model, which must be complete. Only the headers of large files are downloaded."""
    with TemporaryDirectory(dir=small, prefix=".headers-") as name:
        folder = Path(name)
        headers.fetch(large, folder)
        for beside in set(names) - {remote.name for remote in large}:
            (folder / beside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(small / beside, folder / beside)
        for name in names:
            formats.check_header(folder / name)
        completeness.check(names, folder)
        return model_facts.read(names, folder)


def fetch(lock: Lock, folder: Path, progress: Progress) -> None:
    """Download the files of the locked commit. Access to all of them is checked before the first download.

    Raises:
        WeightsError: there is no access, a file no longer exists, or the download failed.
    """
    locate = _locator(*_parts(lock.resolved))
    remotes = [Remote(name, file.size, file.sha256, locate(name)) for name, file in lock.files.items()]
    download.fetch(remotes, folder, progress)


def info(weights: Weights) -> Any:
    """huggingface_hub's ModelInfo of the repository: its files, and the data of its card.

    Raises:
        WeightsError: it is missing, or the Hub cannot be reached.
    """
    repository, revision = _parts(weights.source)
    with _explained(repository, revision):
        return _info(repository, revision)


def small_file(weights: Weights, commit: str, name: str, folder: Path) -> Path:
    """One small file of a commit, downloaded into a folder.

    Raises:
        WeightsError: there is no access to it, or the download failed.
    """
    from huggingface_hub import hf_hub_download

    repository, _ = _parts(weights.source)
    with _explained(repository, commit, name):
        return Path(hf_hub_download(repository, name, revision=commit, local_dir=folder, token=known_token()))


def _parts(source: str) -> tuple[str, str]:
    found = _SOURCE.fullmatch(source)
    assert found, source  # the manifest has checked it
    return found["repository"], found["revision"]


def _listed(sibling: Any) -> tuple[str, int] | None:
    """The sha256 (empty if not given) and size of a file in a repository's listing; None if the listing has no size."""
    large = sibling.lfs
    if large and large.sha256 and large.size is not None:
        return large.sha256, large.size
    return None if large or sibling.size is None else ("", sibling.size)


def _asked(repository: str, commit: str, name: str) -> tuple[str, int]:
    """The same for one file, from its own headers, as some mirrors of the Hub list no sizes.

    Raises:
        WeightsError: they have no size either.
    """
    found = _metadata(repository, commit, name)
    if found.size is None:
        raise WeightsError(f"the Hub does not say how large {name} of {repository} is: take another HF_ENDPOINT")
    return (found.etag if re.fullmatch("[0-9a-f]{64}", found.etag or "") else ""), found.size


def _metadata(repository: str, commit: str, name: str) -> Any:
    """huggingface_hub's HfFileMetadata: the file's current URL, its size, and its ETag (the sha256 of a large file)."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    with _explained(repository, commit, name):
        return get_hf_file_metadata(
            hf_hub_url(repository, name, revision=commit), token=known_token(), retry_on_errors=True
        )


def known_token() -> str | bool:
    """The user's token, without the quotes that some files of variables leave around it; False if there is none.

    Tokens of the Hub are ASCII. Any other text is not sent, as no header can have it, and a warning is printed.

    Raises:
        WeightsError: the token's file cannot be read.
    """
    from huggingface_hub import constants, get_token

    try:
        token = (get_token() or "").strip("\"' \t")
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(
            f"{constants.HF_TOKEN_PATH} holds no token that can be read ({error}): correct it"
        ) from error
    if token.isascii():
        return token or False
    _say_no_ascii()
    return False


@cache
def _say_no_ascii() -> None:
    """Print the warning once per process."""
    page = "https://huggingface.co/settings/tokens"
    print(
        f"the Hub's token is not sent, as it is not ASCII, which every token is: copy it again from {page}",
        file=sys.stderr,
    )


def _info(repository: str, revision: str, failures: int = 0, sizes: bool = True) -> Any:
    """HfApi.model_info, repeated while the Hub is busy (the client itself repeats only requests for files)."""
    from huggingface_hub import HfApi, errors

    try:
        return HfApi(token=known_token()).model_info(repository, revision=revision, files_metadata=sizes, timeout=30)
    except KeyError:  # the listing lacks something that the client expects: ask for each file's own headers instead
        return _info(repository, revision, failures, sizes=False)
    except errors.HfHubHTTPError as error:
        failures += 1
        wait = seconds_to_wait(failures, error.response.headers.get("Retry-After"))
        if error.response.status_code not in BUSY or failures == TRIES or wait > MOST_WAIT:
            raise
    time.sleep(wait)
    return _info(repository, revision, failures, sizes)


def _locator(repository: str, commit: str) -> Callable[[str], Callable[[], Located]]:
    """Makes, for a file's name, the function that asks the Hub for its current URL. Only the Hub gets the token."""
    from huggingface_hub import constants
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    def locate(name: str) -> Located:
        found: str = _metadata(repository, commit, name).location
        is_hub = urlsplit(found)[:2] == urlsplit(constants.ENDPOINT)[:2]
        return found, build_hf_headers(token=known_token()) if is_hub else {}

    return lambda name: lambda: locate(name)


@contextmanager
def _explained(repository: str, revision: str, name: str = "") -> Iterator[None]:
    """Turn the Hub's refusals into errors that say what to do.

    Raises:
        WeightsError: the Hub refuses, or cannot be reached.
    """
    import httpx2
    from huggingface_hub import errors

    page = f"https://huggingface.co/{repository}"
    token = "set HF_TOKEN (https://huggingface.co/settings/tokens) or: hf auth login"
    try:
        yield
    except errors.GatedRepoError as error:
        raise WeightsError(f"{repository} is gated: ask for access at {page}, then {token}") from error
    except errors.RevisionNotFoundError as error:
        raise WeightsError(
            f"{repository} has no revision {revision}: see {page}/commits, correct weights.source"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise WeightsError(f"there is no {page}, or it is private and you need to {token}") from error
    except errors.EntryNotFoundError as error:
        raise WeightsError(f"{repository} has no {name} at {revision}: make weights-lock") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        advice = token if status in (401, 403) else "try again later"
        raise WeightsError(f"the Hub answers {status} for {repository}: {advice}") from error
    except errors.OfflineModeIsEnabled as error:
        raise WeightsError(f"HF_HUB_OFFLINE keeps the Hub from being asked for {repository}: unset it") from error
    except (httpx2.HTTPError, errors.FileMetadataError) as error:
        raise WeightsError(
            f"cannot reach the Hub for {repository} ({' '.join(str(error).split())}): make weights tries again"
        ) from error
