"""Fetches, converts and verifies the weights of a model.

    weights/<slug>/source/      the downloaded files, pinned by models/catalog/<slug>/weights.lock
    weights/<slug>/.source.json the sha256 of the downloaded files. It shows when weights.lock has changed to other
                                files of the same size.
    weights/<slug>/<engine>/    files made from them once, in the engine's own format; derived.json says from which

The variable WEIGHTS_ROOT names another folder than weights/, or several (models/weights/places.py).
"""

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from models.engine import EngineChoice
from models.errors import TemplateError, WeightsError, in_words
from models.manifest import Manifest
from models.weights import adapter, completeness, files, formats, places, sources
from models.weights.download import Progress
from models.weights.files import File
from models.weights.lock import Lock, lock_of

SOURCE = "source"
RECORD = "derived.json"


class Derived(BaseModel):
    """weights/<slug>/<engine>/derived.json: the converted files, the source files, and the converter's versions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    made_from: dict[str, File]
    dtype: str
    converter: dict[str, str]
    files: dict[str, File]


def folder(slug: str, part: str) -> Path:
    """The folder of `part`, which is "source" or the name of an engine."""
    return places.roots()[0] / slug / part


def gguf_file(manifest: Manifest) -> Path:
    """The downloaded GGUF that an engine's files are made from; if it is split, its first part.

    Raises:
        WeightsError: there is none, or there are several.
    """
    names = completeness.ggufs(lock_of(manifest).files)
    if len(names) != 1:
        found = ", ".join(names) or "none"
        raise WeightsError(f"an engine's files are made from one GGUF, and {manifest.slug} has {found}: weights.files")
    return folder(manifest.slug, SOURCE) / names[0]


def are_gguf(manifest: Manifest) -> bool:
    """Whether the locked files are a GGUF, not safetensors."""
    return bool(completeness.ggufs(lock_of(manifest).files))


def verify(manifest: Manifest, part: str, full: bool) -> None:
    """Check names, sizes and headers of the files of `part`; with `full` also every byte.

    Raises:
        WeightsError: names the file, what was expected and found, and the remedy.
    """
    root, locked = folder(manifest.slug, part), lock_of(manifest).files
    own = "" if part == SOURCE else f" ENGINE={part}"
    remedy = "make image" if places.are_baked() else f"make weights{own}"
    if part == SOURCE:
        files.verify(root, locked, remedy, full)
        completeness.check(list(locked), root)
        return
    record = _record(root)
    if record is None:
        raise WeightsError(f"{root / RECORD} is missing: {remedy}")
    if record.made_from != locked:
        raise WeightsError(f"{root} was made from other weights than weights.lock names: {remedy}")
    files.verify(root, record.files, remedy, full)


def is_fetched(manifest: Manifest) -> bool:
    """Whether the downloaded files are present, each with the right size, and not those of another lock."""
    root, locked = folder(manifest.slug, SOURCE), lock_of(manifest).files
    stamp = _stamp_of(root)
    return files.sizes_match(root, locked) and (not stamp.is_file() or stamp.read_text() == _stamped(locked))


def is_derived(manifest: Manifest, choice: EngineChoice, converter: dict[str, str]) -> bool:
    """Whether the engine's files are present, made from the locked source by these versions of the converter."""
    record = _record(folder(manifest.slug, choice.engine))
    return record is not None and record.converter == converter and is_made(manifest, choice)


def is_made(manifest: Manifest, choice: EngineChoice) -> bool:
    """Whether the engine's files are present with the right sizes, made from the locked source by any converter."""
    root = folder(manifest.slug, choice.engine)
    record = _record(root)
    return (
        record is not None
        and record.made_from == lock_of(manifest).files
        and record.dtype == choice.dtype
        and files.sizes_match(root, record.files)
    )


def fetch(manifest: Manifest, progress: Progress) -> None:
    """Download the locked files. The folder gets its name when all files are right; an interrupted download continues.

    Raises:
        WeightsError: the source refuses, the disk is full, or the bytes are not the locked ones.
    """
    lock = lock_of(manifest)
    final = folder(manifest.slug, SOURCE)
    with files.new_folder(final, _on_the_way(final)) as root:
        for below, part in lock.parts.items():
            (root / below).mkdir(exist_ok=True)
            sources.module(part.source).fetch(part, root / below, progress)
        _leave_only(root, set(lock.files))
        files.verify(root, lock.files, "make weights", full=False)
        completeness.check(list(lock.files), root)
    try:
        _stamp_of(final).write_text(_stamped(lock.files))
    except OSError as error:
        raise files.cannot_write(final.parent, error) from error


def make_lock(manifest: Manifest, progress: Progress) -> Lock:
    """The lock of the manifest's source as it is now. Files that had to be downloaded for it are kept for `fetch`.

    Raises:
        WeightsError: the source refuses, or has files that must not be loaded.
    """
    root = _on_the_way(folder(manifest.slug, SOURCE))
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock: Lock = sources.module(manifest.weights.source).lock(manifest.weights, root, progress)
        lock = adapter.added(lock, manifest, root / formats.ADAPTER, progress)
        if files.sizes_match(folder(manifest.slug, SOURCE), lock.files) or not any(root.iterdir()):
            shutil.rmtree(root)
        return lock
    except OSError as error:
        raise files.cannot_write(root, error) from error


def derive(
    manifest: Manifest, choice: EngineChoice, converter: dict[str, str], convert: Callable[[Path, Path, str], None]
) -> None:
    """Make an engine's files, and record their hashes and what made them.

    `convert(source, new_folder, dtype)` makes them; `source` is the GGUF, or the folder of the safetensors.

    Raises:
        WeightsError: the source is not the locked one, or the disk is full.
    """
    verify(manifest, SOURCE, full=True)
    with files.new_folder(folder(manifest.slug, choice.engine)) as root:
        source = gguf_file(manifest) if are_gguf(manifest) else folder(manifest.slug, SOURCE)
        _converted(source, convert, root, choice)
        paths = sorted(path for path in root.rglob("*") if path.is_file())
        for path in paths:
            path.chmod(0o644)
        made = {str(path.relative_to(root)): files.described(path) for path in paths}
        record = Derived(made_from=lock_of(manifest).files, dtype=choice.dtype, converter=converter, files=made)
        (root / RECORD).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _converted(source: Path, convert: Callable[[Path, Path, str], None], root: Path, choice: EngineChoice) -> None:
    """Convert the source, and turn any error of the libraries into one line.

    Raises:
        WeightsError: the source cannot be converted; names it.
        OSError: `root` cannot be written.
    """
    try:
        convert(source, root, choice.dtype)
    except (TemplateError, OSError):
        raise
    except Exception as error:
        raise WeightsError(
            f"{source} cannot be made into {choice.engine}'s files ({in_words(error)}): "
            "take the weights from another source, or another ENGINE"
        ) from error


@contextmanager
def one_at_a_time(manifest: Manifest) -> Iterator[None]:
    """Hold a lock, so that only one process works on this model's weights. It is released if the process dies."""
    from filelock import FileLock, Timeout

    root = folder(manifest.slug, SOURCE).parent
    try:
        root.mkdir(parents=True, exist_ok=True)
        guard = FileLock(root / ".lock")
        try:
            guard.acquire(timeout=0)
        except Timeout:
            print(f"another process works on {root}: waiting for it", file=sys.stderr, flush=True)
            guard.acquire()
    except OSError as error:
        raise files.cannot_write(root, error) from error
    try:
        yield
    finally:
        guard.release()


def _on_the_way(final: Path) -> Path:
    return final.with_name(f".{final.name}")


def _leave_only(root: Path, names: set[str]) -> None:
    """Remove files that an earlier attempt with another lock left behind."""
    for path in sorted(root.rglob("*"), reverse=True):
        if path.is_file() and str(path.relative_to(root)) not in names:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _stamp_of(root: Path) -> Path:
    return root.with_name(f".{root.name}.json")


def _stamped(locked: Mapping[str, File]) -> str:
    return json.dumps({name: file.sha256 for name, file in sorted(locked.items())}, indent=2)


def _record(root: Path) -> Derived | None:
    try:
        return Derived.model_validate(json.loads((root / RECORD).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise WeightsError(f"{root / RECORD} is malformed: rm -r {root}, then: make weights") from error
