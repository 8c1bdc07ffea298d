"""python -m scripts.benchmark.loading MODULE

Measures how long the engine takes to load weights that are not in the page cache, and how long reading the same files
from disk takes; prints one JSON line. MODULE is the task's file; its `load_engine(model, choice, folder)` loads the
engine. `deliveries` measures the time to a container's first output with weights in the image, with weights that setup
must fetch, and with weights that an earlier setup has fetched.
"""

import importlib
import json
import os
import subprocess
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from models import manifest, runtimes, weights
from models.manifest import PROJECT, Manifest
from scripts.benchmark import subjects
from scripts.benchmark.load import Load

_BLOCK = 4 << 20


def main(argv: list[str]) -> int:
    model = manifest.selected()
    choice = runtimes.choose(model)
    folder = weights.folder(model.slug, runtimes.part_of(model, choice))
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    load_engine = importlib.import_module(argv[0]).load_engine
    for package in runtimes.module(choice.engine).PACKAGES:
        __import__(package)
    forget(paths)
    begun = time.monotonic()
    for path in paths:
        with open(path, "rb", buffering=0) as file:
            while file.read(_BLOCK):
                pass
    read = time.monotonic() - begun
    forget(paths)
    begun = time.monotonic()
    with redirect_stdout(sys.stderr):
        engine = load_engine(model, choice, folder)
    loaded = time.monotonic() - begun
    size = sum(path.stat().st_size for path in paths)
    print(json.dumps({"bytes": size, "load_seconds": round(loaded, 2), "disk_seconds": round(read, 2)}))
    sys.stdout.flush()
    del engine
    os._exit(0)  # without waiting for the engine's thread


def forget(paths: list[Path]) -> None:
    """Remove these files from the system's page cache."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def measured(model: Manifest, engine: str, module: str) -> dict[str, Any]:
    """The output of this command, run in its own process; empty if the system cannot clear the page cache."""
    if not hasattr(os, "posix_fadvise"):
        return {}
    environment = os.environ | {"MODEL": model.slug, "ENGINE": engine}
    command = [sys.executable, "-m", "scripts.benchmark.loading", module]
    done = subprocess.run(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def deliveries(model: Manifest, image: str, load: Load) -> dict[str, float]:
    """Seconds from `docker run` to the first output, by delivery of the weights; local files cannot be fetched."""
    seconds = {}
    if model.weights.delivery == "baked":
        with subjects.container(image, load) as baked:
            seconds["baked"] = baked.start_seconds
    if model.weights.source and not model.weights.source.startswith("file:"):
        with subjects.fetching(model) as options:
            for state in ("fetched, into an empty folder", "fetched, the folder filled"):
                with subjects.container(image, load, **options) as fetched:
                    seconds[state] = fetched.start_seconds
    return {state: round(one, 1) for state, one in seconds.items()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
