"""Failing downloads: servers that are busy, cut connections, stall, stop or send wrong bytes; and full disks."""

import hashlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.http import Fault
from tests.services.http_messages import Request
from tests.services.hub import Hub
from tests.template.models.weights.project import HEADER, Project, safetensors

NAME = "org/name"
CHUNK = 1_000_000
WEIGHTS = safetensors(4_500_000)
FILES = {"config.json": b"{}", "model.safetensors": WEIGHTS}
PARTS = ".source/.parts"


@pytest.fixture
def hub(hub: Hub) -> Hub:
    hub.add(NAME, FILES)
    return hub


@pytest.fixture
def project(hub: Hub, tmp_path: Path) -> Project:
    """A project whose lock is written, and whose weights are not downloaded yet."""
    return locked(Project(tmp_path / "project", HF_ENDPOINT=hub.endpoint))


def locked(project: Project) -> Project:
    project.settings |= {"models.weights.parts.CHUNK": CHUNK, "models.weights.transfer.PAUSE": 0.01}
    project.model(f"hf://{NAME}@main")
    project.does("weights_lock")
    return project


def begins(hub: Hub) -> list[int]:
    """The offset at which each request for the weights began, since the last `clear`."""
    return [int(str(request.range).removeprefix("bytes=").partition("-")[0]) for request in brought(hub)]


def sent(hub: Hub) -> int:
    return sum(request.bytes_sent for request in brought(hub))


def brought(hub: Hub) -> list[Request]:
    """The requests for the weights, without that of the lock, which only reads the header."""
    return [request for request in hub.requests if request.host == "cdn" and request.range != HEADER]


def fault(kind: str, **details: object) -> Fault:
    return Fault("/org/name/", kind, host="cdn", **details)  # type: ignore[arg-type]


@pytest.mark.slow
def test_too_many_requests_are_waited_for(hub: Hub, project: Project) -> None:
    hub.faults.append(fault("status", status=429, headers={"Retry-After": "2"}))
    begun = time.monotonic()
    project.does("weights")
    assert time.monotonic() - begun > 2
    assert project.files == FILES


def test_a_retry_after_of_an_hour_ends_the_download(hub: Hub, project: Project) -> None:
    hub.faults.append(fault("status", status=429, headers={"Retry-After": "3600"}, times=9))
    message = project.refuses("weights")
    assert "(it answers 429, and asks to wait 3600 s); the received bytes are kept: make weights continues" in message


def test_requests_to_an_unreliable_server_are_repeated(hub: Hub, project: Project) -> None:
    hub.faults += [fault("status", status=500, times=3), fault("status", status=503, times=3)]
    project.does("weights")
    assert project.files == FILES
    assert sent(hub) == len(WEIGHTS) + 6 * len("fault 500")


def test_a_server_that_always_fails_is_reported_in_one_line(hub: Hub, project: Project) -> None:
    hub.faults.append(fault("status", status=503, times=999))
    message = project.refuses("weights")
    assert (
        "failed to send model.safetensors (it answers 503); the received bytes are kept: make weights continues"
        in message
    )
    assert project.files == {}


def test_an_expired_url_is_requested_again(hub: Hub, project: Project) -> None:
    hub.faults.append(fault("expired", times=2))
    project.does("weights")
    assert project.files == FILES


def test_a_url_that_is_always_refused_is_reported_in_one_line(hub: Hub, project: Project) -> None:
    hub.url_seconds = -1
    assert "refuses model.safetensors (403): check that you have access, and your token" in project.refuses("weights")
    assert project.files == {}


def test_a_download_continues_where_a_body_was_cut(hub: Hub, project: Project) -> None:
    hub.faults.append(fault("cut", after=300_000, times=4))
    project.does("weights")
    assert project.files == FILES
    cut = [begin for begin in begins(hub) if begin % CHUNK == 300_000]
    assert len(cut) == 4
    assert sent(hub) == len(WEIGHTS)


def test_wrong_bytes_of_the_right_length_are_never_kept(hub: Hub, project: Project) -> None:
    hub.faults.append(fault("corrupt"))
    message = project.refuses("weights")
    assert f"expected {hashlib.sha256(WEIGHTS).hexdigest()}: make weights tries again" in message
    assert "model.safetensors came with sha256 " in message
    assert project.files == {}
    assert list((project.weights / PARTS).iterdir()) == []
    project.does("weights")
    assert project.files == FILES


@pytest.mark.slow
def test_a_server_that_stops_midway_loses_no_received_bytes(hub: Hub, project: Project) -> None:
    hub.faults.append(fault("stall", after=300_000, times=999))
    running = project.start("weights")
    while sent(hub) < 4 * 300_000:
        time.sleep(0.02)
    hub.stop()
    begun = time.monotonic()
    _, message = running.communicate(timeout=60)
    assert time.monotonic() - begun < 30
    assert running.returncode == 1
    assert "the received bytes are kept: make weights continues" in message.splitlines()[-1]
    assert project.files == {}
    with Hub() as again:
        again.add(NAME, FILES)
        project.does("weights", HF_ENDPOINT=again.endpoint)
        assert project.files == FILES
        assert sent(again) == len(WEIGHTS) - 4 * 300_000


def test_a_stall_is_noticed_and_the_rest_is_requested_again(hub: Hub, project: Project) -> None:
    project.settings["models.weights.transfer.TIMEOUTS"] = [5, 1]
    hub.faults.append(fault("stall", after=200_000, times=2))
    begun = time.monotonic()
    project.does("weights")
    assert time.monotonic() - begun < 15
    assert project.files == FILES
    assert sent(hub) <= len(WEIGHTS) + 2 * 200_000


def test_two_files_with_the_same_bytes_are_downloaded(hub: Hub, tmp_path: Path) -> None:
    hub.add(NAME, {**FILES, "copy.safetensors": WEIGHTS, "copy.json": b"{}", "empty.txt": b""})
    project = locked(Project(tmp_path / "project", HF_ENDPOINT=hub.endpoint))
    project.does("weights")
    assert project.files == {**FILES, "copy.safetensors": WEIGHTS, "copy.json": b"{}", "empty.txt": b""}


@pytest.mark.slow
def test_more_files_than_a_process_may_open_are_downloaded(hub: Hub, tmp_path: Path) -> None:
    files = {f"{number}.json": b"{}" * (number + 1) for number in range(150)}
    hub.add(NAME, {**FILES, **files})
    project = locked(Project(tmp_path / "project", HF_ENDPOINT=hub.endpoint))
    shutil.rmtree(project.weights / ".source")
    command = ["bash", "-c", 'ulimit -n 64; exec "$@"', "bash", *project.command("weights")]
    ran = subprocess.run(command, cwd=project.folder, env=project.environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert project.files == {**FILES, **files}


@pytest.fixture
def small_disk(hub: Hub, tmp_path: Path) -> Iterator[Project]:
    """A project whose weights are on a disk of 8 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"needs to mount a small disk: {mounted.stderr.strip()}")
    try:
        yield locked(Project(tmp_path / "project", HF_ENDPOINT=hub.endpoint, WEIGHTS_ROOT=str(disk)))
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_disk_that_is_too_small_is_refused_at_the_start(hub: Hub, small_disk: Project) -> None:
    (Path(small_disk.environment["WEIGHTS_ROOT"]) / "other").write_bytes(bytes(5_000_000))
    message = small_disk.refuses("weights")
    assert "MB free, and 5 MB are needed: free some disk, then: make weights" in message
    assert sent(hub) == 0


@pytest.mark.slow
def test_a_disk_that_becomes_full_keeps_the_received_bytes(hub: Hub, small_disk: Project) -> None:
    disk = Path(small_disk.environment["WEIGHTS_ROOT"])
    hub.faults.append(fault("slow", rate=500_000, times=999))
    running = small_disk.start("weights")
    while sent(hub) < 1_000_000:
        time.sleep(0.02)
    (disk / "other").write_bytes(bytes(5_000_000))
    _, message = running.communicate(timeout=60)
    assert running.returncode == 1
    assert "No space left on device; free some disk, then: make weights" in message.splitlines()[-1]
    final = disk / "tiny" / "source"
    assert not final.exists()

    (disk / "other").unlink()
    hub.faults.clear()
    before = sent(hub)
    small_disk.does("weights")
    assert (final / "model.safetensors").read_bytes() == WEIGHTS
    assert sent(hub) - before < len(WEIGHTS) - 900_000
