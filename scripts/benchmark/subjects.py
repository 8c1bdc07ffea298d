"""What is measured. Each subject starts, answers `run(prompts)` with a sample, says its processes, and stops."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import psutil

from models import engines
from models.manifest import Device, EngineChoice, Manifest, path_of
from models.weights import PROJECT, folder
from scripts import local_server, schema
from scripts.benchmark import load


class Subject(Protocol):
    """A running subject; `start_seconds`: from the start of its process to the first token."""

    start_seconds: float

    def run(self, prompts: Sequence[str]) -> load.Sample:
        """One stream a prompt, all at once."""

    def peak_memory(self) -> int:
        """Bytes that its processes had resident at most, added up."""


class HttpSubject:
    """A Cog server at an address; `started`: when its process was started, or None where it runs already."""

    def __init__(self, address: str, processes: list[psutil.Process], started: float | None) -> None:
        self._address, self._processes = address, processes
        local_server.wait_until_ready(address)
        asked = time.monotonic()
        first = load.run(address, ["The sea"]).first_tokens[0]
        self.start_seconds = asked + first - started if started else 0.0

    def run(self, prompts: Sequence[str]) -> load.Sample:
        return load.run(self._address, prompts)

    def peak_memory(self) -> int:
        family = {child for process in self._processes for child in [process, *process.children(recursive=True)]}
        return sum(_peak(process.pid) for process in family)


class EngineSubject:
    """The engine alone in a process of its own, without Cog and HTTP: see scripts/benchmark/bare_engine.py."""

    def __init__(self, process: "subprocess.Popen[str]", started: float) -> None:
        self._process = process
        json.loads(self._process.stdout.readline() if self._process.stdout else "")
        self.start_seconds = time.monotonic() - started + self.run(["The sea"]).first_tokens[0]

    def run(self, prompts: Sequence[str]) -> load.Sample:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(list(prompts)) + "\n")
        self._process.stdin.flush()
        return load.Sample(**json.loads(self._process.stdout.readline()))

    def peak_memory(self) -> int:
        return _peak(self._process.pid)


@contextmanager
def bare_engine(model: Manifest, choice: EngineChoice) -> Iterator[Subject]:
    """The engine without a server."""
    command = [sys.executable, "-m", "scripts.benchmark.bare_engine"]
    environment = os.environ | engines.ENVIRONMENT | {"MODEL": model.slug, "ENGINE": choice.engine}
    started = time.monotonic()
    process = subprocess.Popen(
        command, cwd=PROJECT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield EngineSubject(process, started)
    finally:
        process.kill()
        process.wait()


@contextmanager
def local(model: Manifest) -> Iterator[Subject]:
    """The Cog server of this project, on this machine."""
    started = time.monotonic()
    with local_server.running(model) as (address, process):
        yield HttpSubject(address, [psutil.Process(process.pid)], started)


@contextmanager
def baseline(model: Manifest) -> Iterator[Subject]:
    """Cog's server of benchmarks/baseline, on the same weights."""
    with tempfile.TemporaryDirectory() as place:
        target = Path(place) / "predict.py"
        target.write_bytes((PROJECT / "benchmarks" / "baseline" / "predict.py").read_bytes())
        (Path(place) / ".cog").mkdir()
        described = json.dumps(schema.generate("Baseline", target))
        (Path(place) / ".cog" / "openapi_schema.json").write_text(described, encoding="utf-8")
        environment = {
            "BASELINE_WEIGHTS": str(folder(model.slug, "transformers")),
            "COG_PREDICT_TYPE_STUB": "predict.py:Baseline",
            "COG_MAX_CONCURRENCY": "1",
        }
        port, started = local_server.free_port(), time.monotonic()
        process = local_server.start_in(Path(place), port, environment, None)
        try:
            address = f"http://{local_server.HOST}:{port}"
            yield HttpSubject(address, [psutil.Process(process.pid)], started)
        finally:
            local_server.stop(process)


@contextmanager
def container(image: str, device: Device, **options: Any) -> Iterator[Subject]:
    """A container of `image`, with the GPU where the device is cuda; `options`: more of docker's for running it."""
    import docker

    client, port, started = docker.from_env(), local_server.free_port(), time.monotonic()
    gpus = [docker.types.DeviceRequest(count=-1, capabilities=[["gpu"]])] if device == "cuda" else []
    options.setdefault("environment", {})["PORT"] = str(port)
    running = client.containers.run(image, detach=True, network_mode="host", device_requests=gpus, **options)
    try:
        pids = [int(row[1]) for row in running.top()["Processes"]]
        yield HttpSubject(f"http://{local_server.HOST}:{port}", [psutil.Process(pid) for pid in pids], started)
    finally:
        running.remove(force=True)
        client.close()


@contextmanager
def fetching(model: Manifest) -> Iterator[dict[str, Any]]:
    """Options with which a container fetches its weights, into a new volume that is removed when the block ends.

    pip's settings of this machine go with it.
    """
    import docker

    client = docker.from_env()
    volume = client.volumes.create()
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_") and name != "PIP_FIND_LINKS"}
    with tempfile.TemporaryDirectory() as place:
        changed = Path(place) / "model.yaml"
        text = path_of(model.slug).read_text(encoding="utf-8")
        changed.write_text(text.replace("\nweights:\n", "\nweights:\n  delivery: fetched\n"), encoding="utf-8")
        mounts = [
            docker.types.Mount("/weights", volume.name),
            docker.types.Mount(f"/src/models/catalog/{model.slug}/model.yaml", str(changed), "bind", read_only=True),
        ]
        if certificates := pip.get("PIP_CERT"):
            mounts.append(docker.types.Mount(certificates, certificates, "bind", read_only=True))
        try:
            yield {"mounts": mounts, "environment": {"WEIGHTS_ROOT": "/weights", **pip}}
        finally:
            volume.remove(force=True)
            client.close()


@contextmanager
def served(url: str) -> Iterator[Subject]:
    """Any Cog server that runs already."""
    yield HttpSubject(url.rstrip("/"), [], None)


def _peak(pid: int) -> int:
    """VmHWM of a process, in bytes; 0 where the system does not say, or the process is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
