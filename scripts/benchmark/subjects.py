"""The subjects of a benchmark. Each one starts, answers `run(inputs)` with a sample, reports its memory, and stops."""

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

from models.engine import EngineChoice
from models.manifest import PROJECT, Manifest, path_of
from models.weights import folder
from scripts.benchmark.load import Inputs, Load, Sample, run
from scripts.contract import schema
from scripts.serving import docker_engine, local_container, local_server
from scripts.serving.local_server import ServerError


class Subject(Protocol):
    """A running subject; `start_seconds`: from the start of its process to the first output."""

    start_seconds: float

    def run(self, inputs: Sequence[Inputs]) -> Sample:
        """One stream for each of `inputs`, all at once."""

    def peak_memory(self) -> int:
        """The sum of its processes' peak resident memory (bytes)."""


class HttpSubject:
    """A ready Cog server at an address; `started`: when its process was started, None if it was already running."""

    def __init__(self, address: str, processes: list[psutil.Process], started: float | None, load: Load) -> None:
        self._address, self._processes, self._load = address, processes, load
        asked = time.monotonic()
        first = run(address, load.inputs[-1:], load).firsts[0]
        self.start_seconds = asked + first - started if started else 0.0

    def run(self, inputs: Sequence[Inputs]) -> Sample:
        return run(self._address, inputs, self._load)

    def peak_memory(self) -> int:
        family = {child for process in self._processes for child in [process, *process.children(recursive=True)]}
        return sum(_peak(process.pid) for process in family)


class EngineSubject:
    """The engine alone in its own process, without Cog and HTTP: see scripts/benchmark/bare_engine.py."""

    def __init__(self, process: "subprocess.Popen[str]", started: float, load: Load) -> None:
        self._process = process
        self._line()
        self.start_seconds = time.monotonic() - started + self.run(load.inputs[-1:]).firsts[0]

    def run(self, inputs: Sequence[Inputs]) -> Sample:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(list(inputs)) + "\n")
        self._process.stdin.flush()
        return Sample(**self._line())

    def peak_memory(self) -> int:
        return _peak(self._process.pid)

    def _line(self) -> Any:
        """The next line of its output."""
        assert self._process.stdout is not None
        if line := self._process.stdout.readline():
            return json.loads(line)
        raise ServerError("the bare engine ended: see its message above, then: make doctor")


@contextmanager
def bare_engine(model: Manifest, choice: EngineChoice, module: str, load: Load) -> Iterator[Subject]:
    """The engine without a server; `module`: the file of the model's task."""
    command = [sys.executable, "-m", "scripts.benchmark.bare_engine", module]
    environment = os.environ | model.environment | {"MODEL": model.slug, "ENGINE": choice.engine}
    started = time.monotonic()
    process = subprocess.Popen(
        command, cwd=PROJECT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield EngineSubject(process, started, load)
    finally:
        process.kill()
        process.wait()


@contextmanager
def local(model: Manifest, load: Load) -> Iterator[Subject]:
    """The project's Cog server, on this machine."""
    started = time.monotonic()
    with local_server.running(model) as (address, process):
        yield HttpSubject(address, [psutil.Process(process.pid)], started, load)


@contextmanager
def baseline(model: Manifest, source: str, load: Load) -> Iterator[Subject]:
    """Cog's server with the class Baseline from the file `source`, on the same weights."""
    with tempfile.TemporaryDirectory() as name:
        target = Path(name) / "predict.py"
        target.write_bytes((PROJECT / source).read_bytes())
        (Path(name) / ".cog").mkdir()
        described = json.dumps(schema.generate("Baseline", target))
        (Path(name) / ".cog" / "openapi_schema.json").write_text(described, encoding="utf-8")
        environment = {
            "BASELINE_WEIGHTS": str(folder(model.slug, "transformers")),
            "COG_PREDICT_TYPE_STUB": "predict.py:Baseline",
            "COG_MAX_CONCURRENCY": "1",
        }
        port, started = local_server.free_port(), time.monotonic()
        process = local_server.start_in(Path(name), port, environment, None)
        try:
            address = f"http://{local_server.HOST}:{port}"
            local_server.wait_until_ready(address, process)
            yield HttpSubject(address, [psutil.Process(process.pid)], started, load)
        finally:
            local_server.stop(process)


@contextmanager
def container(image: str, load: Load, **options: Any) -> Iterator[Subject]:
    """A container of `image`, with the GPU if it was built for one; `options`: more of docker's."""
    port, started = local_server.free_port(), time.monotonic()
    options["environment"] = {**options.get("environment", {}), "PORT": str(port)}
    with docker_engine.connected() as client:
        gpus = local_container.gpus(client, image)
        running = client.containers.run(image, detach=True, network_mode="host", device_requests=gpus, **options)
        try:
            address = f"http://{local_server.HOST}:{port}"
            local_server.wait_until_ready(address, local_container.Alive(running))
            pids = [int(row[1]) for row in running.top()["Processes"]]
            yield HttpSubject(address, [psutil.Process(pid) for pid in pids], started, load)
        finally:
            running.remove(force=True)


@contextmanager
def fetching(model: Manifest) -> Iterator[dict[str, Any]]:
    """Options for a container that fetches its weights into a new volume; the volume is removed when the block ends."""
    import docker

    options = local_container.for_fetching()
    options["environment"]["WEIGHTS_ROOT"] = "/weights"
    with docker_engine.connected() as client, tempfile.TemporaryDirectory() as name:
        manifest, volume = Path(name) / "model.yaml", client.volumes.create()
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
def served(url: str, load: Load) -> Iterator[Subject]:
    """Any Cog server that is already running.

    Raises:
        ServerError: there is none.
    """
    local_server.check_served(url)
    yield HttpSubject(url.rstrip("/"), [], None, load)


def _peak(pid: int) -> int:
    """VmHWM of a process, in bytes; 0 if the system does not report it or the process has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
