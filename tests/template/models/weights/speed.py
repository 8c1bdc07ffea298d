"""python -m tests.template.models.weights.speed

Compares the speed of a download, hashing included, with `curl -o` of the same file from a server on this machine.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.manifest import PROJECT

PAIRS = 5
DRIVER = """
import json, re, sys, time
from pathlib import Path
from models.weights import download
from models.weights.progress import PlainLines

remote = download.Remote("model.gguf", int(sys.argv[2]), None, lambda: (sys.argv[1], {}))
begun = time.monotonic()
download.fetch([remote], Path(sys.argv[3]), PlainLines(sys.stderr))
seconds = time.monotonic() - begun
peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())
print(json.dumps({"seconds": seconds, "peak_mb": int(peak[1]) * 1024 / 1e6}))
"""
SERVER = """
import sys
from pathlib import Path
from tests.services.files import FileServer

with FileServer(Path(sys.argv[1]), tls=False) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


@contextmanager
def served(size: int, folder: Path) -> Iterator[str]:
    """The address of a file of `size` bytes, from a process of its own: here it would share the GIL."""
    block = os.urandom(1_000_000)
    with open(folder / "model.gguf", "wb") as file:
        for _ in range(size // len(block)):
            file.write(block)
    os.sync()
    command = [sys.executable, "-c", SERVER, str(folder)]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        yield f"{server.stdout.readline().strip()}/model.gguf"
        server.communicate()


def curl(url: str, folder: Path) -> float:
    """The seconds that curl takes."""
    begun = time.monotonic()
    subprocess.run(["curl", "-sS", "-o", str(folder / "model.gguf"), url], check=True, timeout=60)
    return time.monotonic() - begun


def ours(url: str, size: int, folder: Path) -> tuple[float, float]:
    """The seconds of our download, from the first check of the folder to the last rename, and its peak memory in MB."""
    command = [sys.executable, "-c", DRIVER, url, str(size), str(folder)]
    ran = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True, timeout=60)
    assert (folder / "model.gguf").stat().st_size == size
    found = json.loads(ran.stdout)
    return found["seconds"], found["peak_mb"]


def main() -> None:
    """Print each pair, and the ratio of the fastest of each; every download goes to a new folder."""
    pairs = []
    with tempfile.TemporaryDirectory() as name, served(1_000_000_000, Path(name)) as url:
        for _ in range(PAIRS):
            pair = []
            for fetch in (lambda folder: curl(url, folder), lambda folder: ours(url, 1_000_000_000, folder)[0]):
                folder = Path(name) / "fetched"
                folder.mkdir()
                pair.append(fetch(folder))
                shutil.rmtree(folder)
                os.sync()
            print(f"curl {pair[0]:.2f} s, ours {pair[1]:.2f} s", flush=True)
            pairs.append(pair)
    theirs, fastest = (min(times) for times in zip(*pairs, strict=True))
    print(f"1 GB: our rate is {theirs / fastest:.2f} of curl's, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
