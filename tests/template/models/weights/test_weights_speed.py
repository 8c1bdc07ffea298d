"""The speed of a download with hashing, compared with `curl -o` of the same file in the same run; and its memory."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.template.models.weights.project import PROJECT

SIZE = 1_000_000_000
PAIRS = 3
MOST_PAIRS = 12
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

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("curl"), reason="needs the command curl"),
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc"),
]


@pytest.fixture
def undisturbed() -> Iterator[None]:
    """Gives the processes of this test priority, if allowed, as other load on the machine would change the ratio."""
    before, order = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        load, cores = os.getloadavg()[0], os.cpu_count() or 1
        if load > cores:
            pytest.skip(f"others use the {cores} cores (load {load:.1f}), and this user may not go before them")
    yield
    os.sched_setscheduler(0, before, order)


@pytest.fixture
def url(undisturbed: None, tmp_path: Path) -> Iterator[str]:
    block = os.urandom(1_000_000)
    (tmp_path / "www").mkdir()
    with open(tmp_path / "www" / "model.gguf", "wb") as file:
        for _ in range(SIZE // len(block)):
            file.write(block)
    os.sync()
    # In its own process: here it would share the GIL with threads that have no priority.
    command = [sys.executable, "-c", SERVER, str(tmp_path / "www")]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        yield f"{server.stdout.readline().strip()}/model.gguf"
        server.communicate()
    shutil.rmtree(tmp_path / "www")


def curl(url: str, folder: Path) -> float:
    """The seconds that curl takes."""
    begun = time.monotonic()
    subprocess.run(["curl", "-sS", "-o", str(folder / "model.gguf"), url], check=True, timeout=60)
    return time.monotonic() - begun


def ours(url: str, folder: Path) -> tuple[float, float]:
    """The seconds of our download, from the first check of the folder to the last rename, and its peak memory in MB."""
    command = [sys.executable, "-c", DRIVER, url, str(SIZE), str(folder)]
    ran = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True, timeout=60)
    found = json.loads(ran.stdout)
    return found["seconds"], found["peak_mb"]


def pair(url: str, tmp_path: Path) -> tuple[float, float, float]:
    """The seconds of curl and of ours, and our memory; both write to a new folder that is removed at once."""
    results: list[float] = []
    for fetch in (curl, ours):
        folder = tmp_path / "place"
        folder.mkdir()
        found = fetch(url, folder)
        results.extend(found if isinstance(found, tuple) else (found,))
        assert (folder / "model.gguf").stat().st_size == SIZE
        shutil.rmtree(folder)
        os.sync()
    return results[0], results[1], results[2]


def test_a_download_is_nearly_as_fast_as_curl_and_small_in_memory(url: str, tmp_path: Path) -> None:
    """The fastest of three pairs, or of more if something disturbs them.

    Seen in virtual machines: new pages for the file's cache cost the kernel up to 3 s instead of 0.7 s.
    """
    pair(url, tmp_path)
    pairs = [pair(url, tmp_path) for _ in range(PAIRS)]
    while ratio(pairs) < 0.9 and len(pairs) < MOST_PAIRS:
        pairs.append(pair(url, tmp_path))
    for seconds, our_seconds, peak in pairs:
        print(f"curl {seconds:.2f} s, ours {our_seconds:.2f} s with {peak:.0f} MB")
    print(f"ratio of the fastest {ratio(pairs):.2f}, load {os.getloadavg()[0]:.1f}")
    assert ratio(pairs) >= 0.9
    assert max(peak for _, _, peak in pairs) < 300


def ratio(pairs: list[tuple[float, float, float]]) -> float:
    """Our bytes per second divided by curl's."""
    theirs, ours, _ = zip(*pairs, strict=True)
    return min(theirs) / min(ours)
