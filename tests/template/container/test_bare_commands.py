"""Cog's own commands in a fresh clone, without make: predict, serve, build then predict, push then run.

A container without weights downloads and converts them, which takes most of the time: only one container here waits for
that.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import docker
import httpx
import pytest

from models.manifest import Manifest
from scripts.serving.local_server import HOST, free_port
from tests import commands
from tests.template.readme import blocks, needs_docker

from . import host
from .fork import MANIFEST

CPU = ("-f", "cog.cpu.yaml")
PUBLIC_BASE = "--use-cog-base-image=false"  # predict and serve find out themselves that Replicate cannot be reached


@pytest.fixture(scope="module")
def clone(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clone of the project that belongs to a user who is not root."""
    name = f"bare-{uuid.uuid4().hex[:6]}"
    folder = host.copy_project(tmp_path_factory.mktemp("fresh") / name)
    (folder / "weights").unlink()
    if os.geteuid() == 0:
        shutil.chown(folder, 1234, 1234)
    yield folder
    for container in engine.containers.list():  # without a terminal, cog serve leaves its container running
        if str(folder) in [mount["Source"] for mount in container.attrs["Mounts"]]:
            container.remove(force=True)
    host.forget(engine, {f"cog-{name}"})


@pytest.fixture(scope="module")
def predicted(clone: Path) -> "subprocess.CompletedProcess[str]":
    """The first command that a person types: the README's."""
    command, *_ = filter(needs_docker, blocks())
    return commands.run("bash", "-c", command, cwd=clone, seconds=600)


@pytest.fixture(scope="module")
def image(clone: Path, predicted: "subprocess.CompletedProcess[str]") -> str:
    """An image of the clone, which has weights now; they must not get into the image."""
    commands.succeed("cog", "build", *CPU, PUBLIC_BASE, "-t", "template:bare", cwd=clone, seconds=600)
    return "template:bare"


def test_predict_fetches_missing_weights_into_the_clone(
    clone: Path, predicted: "subprocess.CompletedProcess[str]", model: Manifest
) -> None:
    assert predicted.returncode == 0, predicted.stderr
    assert "Paris" in host.joined(predicted.stdout)
    assert "no weights for openvino in /src/baked, /src/weights, /weights: fetching them into /src/weights" in (
        predicted.stderr
    )
    assert "93 of 93 MB (100 %)" in predicted.stderr
    assert "DeprecationWarning" not in predicted.stderr
    about_names = r'("cog predict"|predict\(\)) is deprecated|deprecated field "predict"'  # Cog's own lines
    assert "deprecated" not in re.sub(about_names, "", predicted.stderr)
    made = clone / "weights" / model.slug / "openvino" / "derived.json"
    assert made.stat().st_uid == clone.stat().st_uid


def test_serve_uses_the_present_weights(clone: Path, predicted: "subprocess.CompletedProcess[str]") -> None:
    port = free_port()
    command = ["cog", "serve", *CPU, "-p", str(port)]
    process = subprocess.Popen(command, cwd=clone, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = f"http://{HOST}:{port}"
        logs = host.health_once(address, "READY")["setup"]["logs"]
        answer = httpx.post(f"{address}/predictions", json={"input": {"prompt": "Hi", "max_tokens": 2}}, timeout=60)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert answer.json()["status"] == "succeeded"
    assert "weights from /src/weights" in logs
    assert "fetching" not in logs


def test_an_image_that_was_built_without_make_fetches_its_weights(engine: docker.DockerClient, image: str) -> None:
    """What comes after the download, test_fetched.py shows."""
    container = engine.containers.run(image, detach=True)
    logs = ""
    try:
        for piece in container.logs(stream=True, follow=True):
            logs += piece.decode()
            if "downloading 93 MB" in logs:
                break
    finally:
        container.remove(force=True)
    assert "fetching them into /weights (make image would have put them into the image)" in logs
    assert "downloading 93 MB" in logs
    assert not [name for name in host.files_in(engine, image) if name.startswith(("baked/", "weights/"))]


def test_an_image_pushed_without_make_runs_with_its_weights_in_a_volume(
    engine: docker.DockerClient, clone: Path, image: str, r8_im: str
) -> None:
    name = f"{r8_im}/acme/bare"  # other tests push there too, and a registry takes a layer once
    commands.succeed("cog", "push", *CPU, PUBLIC_BASE, name, cwd=clone, seconds=600)
    held = httpx.head(f"http://{r8_im}/v2/acme/bare/manifests/latest", headers={"Accept": MANIFEST})
    assert held.status_code == 200
    volume = docker.types.Mount("/weights", str(clone / "weights"), type="bind")
    with host.container(engine, name, [volume]) as server:
        logs = host.health_once(server, "READY")["setup"]["logs"]
        answer = httpx.post(f"{server}/predictions", json={"input": {"prompt": "Hi", "max_tokens": 2}}, timeout=60)
    assert "weights from /weights" in logs
    assert answer.json()["status"] == "succeeded", json.dumps(answer.json())
