"""Downloads that are killed (SIGKILL) at any moment, alone and with a second process waiting."""

import random
import signal
import time
from pathlib import Path
from subprocess import Popen

import pytest

from tests.services.http import Fault
from tests.services.hub import Hub
from tests.template.models.weights.project import HEADER, Project, safetensors

NAME = "org/name"
KILLS = 10
CHUNK = 1_000_000
SIZE = 20_000_000


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    path.write_bytes(safetensors(SIZE))
    return path


@pytest.fixture
def hub(hub: Hub, weights: Path) -> Hub:
    hub.add(NAME, {"config.json": b"{}", "model.safetensors": weights})
    hub.faults.append(Fault("model.safetensors", "slow", host="cdn", times=10_000, rate=5_000_000))
    return hub


@pytest.fixture
def project(hub: Hub, tmp_path: Path) -> Project:
    project = Project(tmp_path / "project", HF_ENDPOINT=hub.endpoint)
    project.settings["models.weights.parts.CHUNK"] = CHUNK
    project.model(f"hf://{NAME}@main")
    project.does("weights_lock")
    return project


def sent(hub: Hub) -> int:
    """The sent bytes of the weights, without the header that the lock read."""
    asked = [request for request in hub.requests if request.host == "cdn" and request.range != HEADER]
    return sum(request.bytes_sent for request in asked)


def kill_after(hub: Hub, running: Popen[str], count: int) -> None:
    """Send SIGKILL once `count` more bytes were sent."""
    before = sent(hub)
    while sent(hub) < before + count and running.poll() is None:
        time.sleep(0.005)
    assert running.poll() is None, running.communicate()
    running.kill()
    running.communicate()


def noted(project: Project, chunks: int) -> list[int]:
    """The bytes of each chunk by the journal; a shorter journal has none for the rest."""
    (journal,) = (project.weights / ".source" / ".parts").glob("*.journal")
    counts = journal.read_bytes().ljust(8 * chunks, b"\0")
    return [int.from_bytes(counts[8 * chunk : 8 * chunk + 8], "little") for chunk in range(chunks)]


def begins(hub: Hub, after: int) -> set[int]:
    """The offsets at which requests to the CDN began, after so many requests in all."""
    asked = [request for request in hub.requests[after:] if request.host == "cdn"]
    return {int(str(request.range).removeprefix("bytes=").partition("-")[0]) for request in asked}


@pytest.mark.slow
def test_ten_kills_lose_at_most_a_chunk_each(hub: Hub, project: Project, weights: Path) -> None:
    moments, size = random.Random(0), weights.stat().st_size
    there = [0] * -(-size // CHUNK)
    for _ in range(KILLS):
        asked = len(hub.requests)
        kill_after(hub, project.start("weights"), moments.randrange(100_000, 1_500_000))
        assert begins(hub, asked) <= {chunk * CHUNK + count for chunk, count in enumerate(there)}
        there = noted(project, len(there))
        assert project.files == {}
    hub.faults.clear()
    asked = len(hub.requests)
    project.does("weights")
    assert project.files["model.safetensors"] == weights.read_bytes()
    last = [request.bytes_sent for request in hub.requests[asked:] if request.host == "cdn"]
    assert sum(last) == size - sum(there)
    twice = sent(hub) - size
    print(f"fetched twice: {twice / 1e6:.2f} MB in {KILLS} kills")
    assert twice <= KILLS * CHUNK
    project.does("weights_verify")


def test_ctrl_c_stops_a_download_at_once_and_keeps_the_received_bytes(
    hub: Hub, project: Project, weights: Path
) -> None:
    running = project.start("weights")
    while sent(hub) < 4_000_000:
        time.sleep(0.01)
    begun = time.monotonic()
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=20)
    assert time.monotonic() - begun < 3
    assert (running.returncode, errors.splitlines()[-1]) == (130, "cancelled")
    assert sum(noted(project, -(-weights.stat().st_size // CHUNK))) > 1_000_000


def test_two_processes_download_only_once(hub: Hub, project: Project, weights: Path) -> None:
    hub.faults[0].rate = 10_000_000
    both = [project.start("weights"), project.start("weights")]
    outputs = [running.communicate(timeout=100)[1] for running in both]
    assert [running.returncode for running in both] == [0, 0]
    assert sent(hub) == weights.stat().st_size
    assert sum("another process works on" in one for one in outputs) == 1
    assert sum("downloading hf://" in one for one in outputs) == 1


def test_when_the_downloading_process_is_killed_the_waiting_one_continues(
    hub: Hub, project: Project, weights: Path
) -> None:
    hub.faults[0].rate = 1_000_000  # so that it still runs when the other starts
    first = project.start("weights")
    while not sent(hub):
        time.sleep(0.01)
    second = project.start("weights")
    assert "another process works on" in str(second.stderr and second.stderr.readline())
    kill_after(hub, first, 1_500_000)
    hub.faults.clear()
    _, errors = second.communicate(timeout=100)
    assert second.returncode == 0, errors
    assert project.files["model.safetensors"] == weights.read_bytes()
    assert sent(hub) <= weights.stat().st_size + CHUNK
