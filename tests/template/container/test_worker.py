"""A container ends when its worker was killed, so that Docker, Kubernetes and Replicate start a new one."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import docker
import pytest

from . import host

KILL = """
import os, pathlib
for process in pathlib.Path("/proc").glob("[0-9]*"):
    if b"_run_worker" in (process / "cmdline").read_bytes() and int(process.name) != os.getpid():
        os.kill(int(process.name), 9)
"""
KILLED, INTERRUPTED = 128 + 9, 128 + 2
NO_TINI = ["python", "-m", "cog.server.http"]


@contextmanager
def ready(engine: docker.DockerClient, image: str, **options: Any) -> Iterator[tuple[Any, str]]:
    """A ready container, and its address."""
    started = engine.containers.run(image, detach=True, ports={"5000/tcp": ("127.0.0.1", None)}, **options)
    try:
        yield started, address_of(started)
    finally:
        started.remove(force=True)


def address_of(container: Any) -> str:
    """The address of its server, once that is ready; a restart changes the port."""
    container.reload()
    address = f"http://127.0.0.1:{container.ports['5000/tcp'][0]['HostPort']}"
    host.health_once(address, "READY")
    return address


def test_docker_starts_a_new_container_that_works(engine: docker.DockerClient, cpu_image: str) -> None:
    with ready(engine, cpu_image, restart_policy={"Name": "on-failure"}) as (container, _):
        container.exec_run(["python", "-c", KILL])
        killed = time.monotonic()
        while container.attrs["RestartCount"] == 0:
            assert time.monotonic() < killed + 10
            time.sleep(0.1)
            container.reload()
        address_of(container)
        assert "the worker, which runs the model, has died" in container.logs().decode()


@pytest.mark.parametrize(
    ("options", "code"),
    [({}, KILLED), ({"entrypoint": NO_TINI}, INTERRUPTED)],
    ids=["the server is tini's child", "the server is process 1"],
)
def test_the_container_ends_within_five_seconds(
    engine: docker.DockerClient, cpu_image: str, options: dict[str, Any], code: int
) -> None:
    with ready(engine, cpu_image, **options) as (container, _):
        container.exec_run(["python", "-c", KILL])
        assert container.wait(timeout=5)["StatusCode"] == code
