"""Removes what Cog's runtime leaves on the disk, which would otherwise fill it.

coglet 0.22 makes folders for each prediction, writes outputs that are files or long there, and never removes them. The
folders alone take 12 kB, 15 GB an hour at 350 predictions a second (crates/coglet/src/service.rs).

`install` looks once a minute, in a process of its own, which does not hold the GIL. An output is sent as soon as it is
written, so its file goes after five minutes. A prediction fails without its folder, so that stays for an hour; of more
than 20,000 folders the oldest go after five minutes, because predictions that many can follow are short.

tests/template/server/test_leftovers.py fails when the runtime removes them itself. Then delete this file.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

FOLDER = Path("/tmp/coglet/predictions")
"""Where the runtime makes a folder for each prediction, regardless of TMPDIR."""
FILE_SECONDS = 5 * 60
FOLDER_SECONDS = 60 * 60
MOST_FOLDERS = 20_000
_EVERY_SECONDS = 60


def install() -> None:
    """Remove leftovers for as long as this process runs."""
    threading.Thread(target=_remove_forever, name="leftovers", daemon=True).start()


def _remove_forever() -> None:
    while True:
        time.sleep(_EVERY_SECONDS)
        subprocess.run([sys.executable, "-I", "-S", __file__], stdin=subprocess.DEVNULL, check=False)


def remove(folder: Path, now: float) -> None:
    """Remove what is too old in a folder of predictions; `now` in seconds since the epoch."""
    begun = []
    with suppress(FileNotFoundError), os.scandir(folder) as found:
        for entry in found:
            with suppress(FileNotFoundError):  # another server of this machine removed it
                begun.append((entry.stat().st_mtime, entry.path))
    begun.sort()
    surplus = len(begun) - MOST_FOLDERS
    for position, (time_begun, path) in enumerate(begun):
        if now - time_begun > (FILE_SECONDS if position < surplus else FOLDER_SECONDS):
            shutil.rmtree(path, ignore_errors=True)
        else:
            _remove_outputs(Path(path, "outputs"), now)


def _remove_outputs(folder: Path, now: float) -> None:
    with suppress(OSError), os.scandir(folder) as files:  # of another user, or removed meanwhile
        for file in files:
            if now - file.stat().st_mtime > FILE_SECONDS:
                os.unlink(file.path)


if __name__ == "__main__":
    remove(FOLDER, time.time())
