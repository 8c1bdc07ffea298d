"""Helpers of the container tests: the images that they leave, a container of an image, and a copy of the project."""

import json
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
from filelock import FileLock

from models import manifest
from models.manifest import PROJECT
from tests import commands
from tests.checkout import copied
from tests.template import toy

PROOF = """
from models import manifest
from scripts.contract import schema
from scripts.release import proof
model, problems = manifest.selected(), []
proof.tried(model, f"{model.slug}:cpu", schema.generate(schema.served_class(model)), on_gpu=False, problems=problems)
print(problems)
"""
"""Tests the image of make image DEVICE=cpu as tests/fork/test_container.py does, which builds it first."""


@contextmanager
def engine(tmp_path_factory: pytest.TempPathFactory, testrun_uid: str) -> Iterator[docker.DockerClient]:
    """The Docker engine; without it or cog, tests are skipped, and with CONTAINER_TESTS=required they fail."""
    if shutil.which("cog") is None:
        commands.skip_or_fail("the cog command (https://cog.run/#install)")
    try:
        client = docker.from_env(timeout=120)
        client.ping()
    except docker.errors.DockerException as error:
        commands.skip_or_fail(f"a running Docker engine ({error})")
    with leaves_no_images(client, tmp_path_factory.getbasetemp().parent / f"images-{testrun_uid}.json"):
        yield client
    client.close()


def joined(output: str) -> str:
    """The text of `cog predict`, which prints a streamed output as a JSON list of its chunks."""
    return "".join(json.loads(output))


def images_of_tests(engine: docker.DockerClient) -> set[str]:
    """The engine's images with the name of a test or the model, and those that lost their name to a newer build."""
    found = engine.api.images()
    names = {name for image in found for key in ("RepoTags", "RepoDigests") for name in image[key] or ()}
    slugs = f"{manifest.selected().slug}|{toy.SLUG}"
    own = rf"([^/]+/)?(template|cog-template|my-[a-z]+|acme[^/]*/[^/]+|{slugs})(-weights)?[:@]"
    of_tests = {name for name in names if re.match(own, name)}
    return of_tests | {image["Id"] for image in engine.api.images(filters={"dangling": True})}


@contextmanager
def leaves_no_images(engine: docker.DockerClient, state: Path) -> Iterator[None]:
    """Remove the images that are new at the end, and what the builder keeps of those with torch: each has gigabytes.

    `state`: a file for all processes of a test run; the last one that ends removes those of all. None does so before:
    without the builder's records, the build of a release in another process would make a layer again, as another one.
    """
    lock = FileLock(f"{state}.lock")
    with lock:
        if state.exists():
            images, layers, running = json.loads(state.read_text())
        else:
            images, layers, running = sorted(images_of_tests(engine)), _with_torch(engine), 0
        state.write_text(json.dumps((images, layers, running + 1)))
    yield
    with lock:
        images, layers, running = json.loads(state.read_text())
        state.write_text(json.dumps((images, layers, running - 1)))
        if running == 1:
            forget(engine, images_of_tests(engine) - set(images))
            for layer in _with_torch(engine):
                if layer not in layers:
                    engine.api.prune_builds(filters={"id": [layer]}, all=True)


def forget(engine: docker.DockerClient, references: set[str]) -> None:
    """Remove images by name, or by id if they have no name; one that a container runs stays."""
    for reference in sorted(references):
        with suppress(docker.errors.APIError):
            engine.images.remove(reference, force=True)


def _with_torch(engine: docker.DockerClient) -> list[str]:
    """The ids of builds' layers over 2 GB, of images that a build began with, and of those on top of them.

    The topmost is the first: only that can be removed. The size of a layer from an image is 0.
    """
    found: list[str] = []
    for layer in sorted(engine.api.df()["BuildCache"] or (), key=lambda layer: layer["CreatedAt"]):
        below = layer.get("Parents") or layer.get(" Parents") or ()  # Docker 26 writes the space
        if layer["Size"] > 2e9 or layer["Description"].startswith("from local") or set(below) & set(found):
            found.insert(0, layer["ID"])
    return found


def files_in(engine: docker.DockerClient, image: str) -> set[str]:
    """Every file under the image's /src, by its path relative to it."""
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
    """The response of /health-check once its status is `wanted`; any other final status fails the test."""
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
    """A copy of the project's own files that shares this project's weights."""
    copied(target)
    (target / "weights").symlink_to(PROJECT / "weights")
    return target
