"""file:PATH: a file or a folder on this machine. `~` is the home folder; other relative paths begin at the project."""

import shutil
from pathlib import Path

from models.errors import WeightsError
from models.manifest import PROJECT
from models.origin import Weights
from models.weights import completeness, formats, gguf_format
from models.weights.download import Progress
from models.weights.files import check_room, verify
from models.weights.lock import Lock
from models.weights.sources import local_lock


def lock(weights: Weights, folder: Path, progress: Progress) -> Lock:
    """Lock the files.

    Raises:
        WeightsError: there are none, or one of them can run code.
    """
    root, names = _found(weights.source)
    patterns = names if _path(weights.source).is_file() else weights.files or formats.DEFAULT_PATTERNS
    taken = completeness.only_once(formats.selected(names, patterns), root)
    return local_lock.lock(weights, taken, root)


def fetch(lock: Lock, folder: Path, progress: Progress) -> None:
    """Copy the locked files.

    Raises:
        WeightsError: one is missing or has changed since.
    """
    root, names = _found(lock.source)
    check_room(folder, lock.size)
    for name in lock.files:
        if name not in names:
            raise WeightsError(f"{root / name} is gone: put it back, or: make weights-lock")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, folder / name)
    verify(folder, lock.files, "make weights-lock, if they have changed on purpose", full=True)


def _path(source: str) -> Path:
    """The path of the source.

    Raises:
        WeightsError: it begins with the home folder of an unknown user.
    """
    try:
        return PROJECT / Path(source.removeprefix("file:")).expanduser()
    except RuntimeError as error:
        raise WeightsError(f"{source} begins with no known home: correct weights.source in the manifest") from error


def _found(source: str) -> tuple[Path, list[str]]:
    """The folder and the paths of the files in it; for a file, its folder, its name and its other parts."""
    path = _path(source)
    if path.is_file():
        return path.parent, [part.name for part in gguf_format.parts(path) if part.is_file()]
    names = [str(file.relative_to(path)) for file in sorted(path.rglob("*")) if file.is_file()]
    if not names:
        raise WeightsError(f"there is no {path}, or nothing in it: correct weights.source in the manifest")
    return path, names
