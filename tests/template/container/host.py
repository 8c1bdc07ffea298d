"""What the container tests share: a command run to its end, a container of an image, and a copy of the project."""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import docker
import httpx
import pytest

from models import manifest
from models.weights import PROJECT
from tests.checkout import copied


def lacks(what: str, remedy: str = "make doctor says how to get what the container needs") -> NoReturn:
    """Skip the test for want of `what`; with CONTAINER_TESTS=required fail it."""
    reason = f"this machine lacks {what}; {remedy}"
    if os.environ.get("CONTAINER_TESTS") == "required":
        pytest.fail(f"CONTAINER_TESTS=required, but {reason}", pytrace=False)
    pytest.skip(reason)


def run(*command: str, cwd: Path = PROJECT, seconds: float = 300, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command, its output captured; `variables` are added to the environment.

    Under `make test`, make's own variables would have a command's `make` announce its folder on standard output.
    """
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
    )


def succeed(*command: str, cwd: Path = PROJECT, seconds: float = 300, **variables: str) -> str:
    """What a command prints to standard output; it must exit with 0."""
    done = run(*command, cwd=cwd, seconds=seconds, **variables)
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def joined(output: str) -> str:
    """The text of `cog predict`, which prints a streamed output as a JSON list of its chunks."""
    return "".join(json.loads(output))


def images_of_tests(engine: docker.DockerClient) -> set[str]:
    """The engine's images that have a test's or the model's name, or lost theirs to a newer build."""
    found = engine.api.images()
    names = {name for image in found for key in ("RepoTags", "RepoDigests") for name in image[key] or ()}
    own = rf"([^/]+/)?(template|acme/[^/]+|{manifest.selected().slug})(-weights)?[:@]"
    of_tests = {name for name in names if re.match(own, name)}
    return of_tests | {image["Id"] for image in engine.api.images(filters={"dangling": True})}


def forget(engine: docker.DockerClient, references: set[str]) -> None:
    """Remove images by name, or by id where nothing names them any more; one that a container runs stays."""
    for reference in sorted(references):
        with suppress(docker.errors.APIError):
            engine.images.remove(reference, force=True)


def files_in(engine: docker.DockerClient, image: str) -> set[str]:
    """Every file under the image's /src, by its path from there."""
    listing = engine.containers.run(image, ["find", ".", "-not", "-type", "d", "-printf", "%P\n"], remove=True)
    return set(listing.decode().splitlines())


@contextmanager
def container(
    engine: docker.DockerClient, image: str, mounts: Sequence[docker.types.Mount] = (), **variables: str
) -> Iterator[str]:
    """The address of a new container's server, on a free port of 127.0.0.1; it is removed when the block ends.

    `variables` are added to the image's environment.
    """
    ports = {"5000/tcp": ("127.0.0.1", None)}
    started = engine.containers.run(image, detach=True, ports=ports, mounts=list(mounts), environment=variables)
    try:
        started.reload()
        yield f"http://127.0.0.1:{started.ports['5000/tcp'][0]['HostPort']}"
    finally:
        started.remove(force=True)


def health_once(address: str, wanted: str, seconds: float = 180) -> dict[str, Any]:
    """What /health-check answers once its status is `wanted`; anything final but that fails the test."""
    deadline = time.monotonic() + seconds
    while True:
        health = _health(address)
        if health["status"] == wanted:
            return health
        assert health["status"] in ("UNREACHABLE", "STARTING", "READY", "BUSY"), health
        assert time.monotonic() < deadline, f"not {wanted} after {seconds} s: {health}"
        time.sleep(0.1)


def _health(address: str) -> dict[str, Any]:
    try:
        health: dict[str, Any] = httpx.get(f"{address}/health-check", timeout=10).json()
    except httpx.TransportError as error:
        return {"status": "UNREACHABLE", "error": str(error)}
    return health


def copy_project(target: Path) -> Path:
    """A copy of the project's own files; it shares the weights of this one."""
    copied(target)
    (target / "weights").symlink_to(PROJECT / "weights")
    return target
