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
import yaml

from models import runtimes
from models.manifest import EngineChoice, Manifest, path_of
from models.weights import PROJECT, folder
from scripts import schema
from scripts.benchmark import load
from scripts.serving import docker_engine, local_container, local_server
from scripts.serving.local_server import ServerError


class Subject(Protocol):
    """A running subject; `start_seconds`: from the start of its process to the first token."""

    start_seconds: float

    def run(self, prompts: Sequence[str]) -> load.Sample:
        """One stream a prompt, all at once."""

    def peak_memory(self) -> int:
        """Bytes that its processes had resident at most, added up."""


class HttpSubject:
    """A Cog server that is ready, at an address; `started`: when its process was started, None where it ran already."""

    def __init__(self, address: str, processes: list[psutil.Process], started: float | None) -> None:
        self._address, self._processes = address, processes
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
        self._line()
        self.start_seconds = time.monotonic() - started + self.run(["The sea"]).first_tokens[0]

    def run(self, prompts: Sequence[str]) -> load.Sample:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(list(prompts)) + "\n")
        self._process.stdin.flush()
        return load.Sample(**self._line())

    def peak_memory(self) -> int:
        return _peak(self._process.pid)

    def _line(self) -> Any:
        """What it says next."""
        assert self._process.stdout is not None
        if line := self._process.stdout.readline():
            return json.loads(line)
        raise ServerError("the bare engine ended: see its message above, then: make doctor")


@contextmanager
def bare_engine(model: Manifest, choice: EngineChoice) -> Iterator[Subject]:
    """The engine without a server."""
    command = [sys.executable, "-m", "scripts.benchmark.bare_engine"]
    environment = os.environ | runtimes.ENVIRONMENT | {"MODEL": model.slug, "ENGINE": choice.engine}
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
        local_server.wait_until_ready(address, process)
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
            local_server.wait_until_ready(address, process)
            yield HttpSubject(address, [psutil.Process(process.pid)], started)
        finally:
            local_server.stop(process)


@contextmanager
def container(image: str, **options: Any) -> Iterator[Subject]:
    """A container of `image`, with the GPU where it was built for one; `options`: more of docker's for running it."""
    port, started = local_server.free_port(), time.monotonic()
    options["environment"] = {**options.get("environment", {}), "PORT": str(port)}
    with docker_engine.connected() as client:
        gpus = local_container.gpus(client, image)
        running = client.containers.run(image, detach=True, network_mode="host", device_requests=gpus, **options)
        try:
            address = f"http://{local_server.HOST}:{port}"
            local_server.wait_until_ready(address, local_container.Alive(running))
            pids = [int(row[1]) for row in running.top()["Processes"]]
            yield HttpSubject(address, [psutil.Process(pid) for pid in pids], started)
        finally:
            running.remove(force=True)


@contextmanager
def fetching(model: Manifest) -> Iterator[dict[str, Any]]:
    """Options with which a container fetches its weights, into a new volume that is removed when the block ends."""
    import docker

    options = local_container.for_fetching()
    options["environment"]["WEIGHTS_ROOT"] = "/weights"
    with docker_engine.connected() as client, tempfile.TemporaryDirectory() as place:
        manifest, volume = Path(place) / "model.yaml", client.volumes.create()
        content = yaml.safe_load(path_of(model.slug).read_text(encoding="utf-8"))
        content["weights"]["delivery"] = "fetched"
        manifest.write_text(yaml.safe_dump(content), encoding="utf-8")
        inside = f"/src/models/catalog/{model.slug}/model.yaml"
        options["mounts"] += [
            docker.types.Mount("/weights", volume.name),
            docker.types.Mount(inside, str(manifest), "bind", read_only=True),
        ]
        try:
            yield options
        finally:
            volume.remove(force=True)


@contextmanager
def served(url: str) -> Iterator[Subject]:
    """Any Cog server that runs already.

    Raises:
        ServerError: none does.
    """
    local_server.check_served(url)
    yield HttpSubject(url.rstrip("/"), [], None)


def _peak(pid: int) -> int:
    """VmHWM of a process, in bytes; 0 where the system does not say, or the process is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
