"""The whole path of a model, through the real cog, Docker and registry and a local Replicate that runs what was pushed.

One story: version 1 ships; a breaking change is refused; version 2 fails in staging and production keeps version 1; it
is mended and promoted to two deployments, of which the second fails at first, so that both go back; then it is
promoted, and rolled back.
"""

import json
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest

from models.manifest import Manifest
from models.weights import PROJECT
from tests.services.replicate import Replicate
from tests.services.replicate_client import client_of, forget_images, http_of

from . import host

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
BREAKING = ("        top_k: int = Input(", "        top_k_tokens: int = Input(")
COMPATIBLE = ("0 always takes the most likely token", "0 is greedy")


class Fork:
    """A clone of the project as someone ships it, its name on Replicate, and the Replicate that it ships to."""

    def __init__(self, folder: Path, service: Replicate, slug: str) -> None:
        self.folder, self.service, self.slug = folder, service, slug
        self.model = f"acme/fork-{uuid.uuid4().hex[:8]}"
        self.to = f"r8.im/{self.model}"
        docker_config = folder.parent / "docker"
        docker_config.mkdir()
        (docker_config / "config.json").write_text('{"auths": {"registry.invalid": {}}}')
        self.variables = {
            "REPLICATE_API_TOKEN": service.token,
            "REPLICATE_BASE_URL": service.address,
            "DOCKER_CONFIG": str(docker_config),
            "MODEL": slug,
        }
        self.output = ""

    def run(self, script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", f"scripts.{script}", *arguments]
        done = host.run(*command, cwd=self.folder, seconds=900, **self.variables, **variables)
        self.output += done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def push(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.run("push", self.to, "--device", "cpu", *arguments, **variables)

    def change(self, path: str, old: str, new: str) -> None:
        """Edit a file, render what follows from it, and commit."""
        text = (self.folder / path).read_text(encoding="utf-8")
        assert text.count(old) == 1
        (self.folder / path).write_text(text.replace(old, new), encoding="utf-8")
        assert self.run("render").returncode == 0
        self.git("commit", "--quiet", "--all", "--message", f"change {path}")

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        return host.succeed("git", *who, *arguments, cwd=self.folder)

    def entries(self) -> list[dict[str, Any]]:
        """The ledger's lines."""
        return [json.loads(line) for line in (self.folder / "releases" / f"{self.slug}.jsonl").read_text().splitlines()]

    def last(self, step: str) -> dict[str, Any]:
        return [entry for entry in self.entries() if entry["step"] == step][-1]

    def live(self) -> str:
        """The version that the production image's name stands for in the registry."""
        found = httpx.head(f"http://127.0.0.1:5055/v2/{self.model}/manifests/latest", headers={"Accept": MANIFEST})
        return found.headers["Docker-Content-Digest"].removeprefix("sha256:")

    def newest(self) -> str:
        """The version that Replicate gives to callers who name none."""
        version = client_of(self.service).models.get(self.model).latest_version
        assert version is not None
        return version.id


@pytest.fixture
def fork(engine: docker.DockerClient, r8_im: str, model: Manifest, tmp_path: Path) -> Iterator[Fork]:
    folder = tmp_path / "fork"
    folder.mkdir()
    host.copy_project(folder)
    (folder / "weights").unlink()
    shutil.copytree(PROJECT / "weights", folder / "weights", copy_function=shutil.copyfile)
    with Replicate() as service:
        fork = Fork(folder, service, model.slug)
        fork.git("init", "--quiet")
        fork.git("add", "--all")
        fork.git("commit", "--quiet", "--message", "fork")
        fork.git("config", "user.email", "ada@example.com")
        yield fork
    for name in (fork.model, f"{fork.model}-staging"):
        forget_images(engine, name)


def test_the_whole_path_from_push_to_rollback(fork: Fork) -> None:
    refused = fork.push("--until", "ready")
    assert refused.returncode == 1
    assert f"make push TO={fork.to} CREATE=private" in refused.stderr

    shipped = fork.push("--create", "private")
    assert shipped.returncode == 0, shipped.stderr
    first = fork.last("promote")["digest"]
    assert shipped.stdout.splitlines()[-1] == f"{fork.to}@{first}"
    assert (
        f"sha256:{fork.newest()}"
        == f"sha256:{fork.live()}"
        == first
        == fork.last("push")["digest"]
        == fork.last("staging")["digest"]
    )
    assert fork.last("proof")["content"] == fork.last("push")["content"] == fork.last("promote")["content"]
    assert [entry["step"] for entry in fork.entries() if entry["result"] == "ok"][-8:] == [
        *("ready", "contract", "image", "proof", "push", "staging", "promote", "ship")
    ]

    fork.change("predict.py", *BREAKING)
    refused = fork.push()
    assert refused.returncode == 1
    assert "input.top_k: renamed to top_k_tokens" in refused.stderr
    assert f'make push TO={fork.to} BREAKING="why"' in refused.stderr
    assert fork.last("contract")["result"] == "refused"
    assert fork.last("ready").get("seconds", 0) + fork.last("contract").get("seconds", 0) < 2
    allowed = fork.push("--until", "contract", "--breaking", "top_k was a bad name")
    assert allowed.returncode == 0
    assert fork.last("contract")["why"] == "top_k was a bad name"
    fork.change("predict.py", *reversed(BREAKING))

    deployments = [f"acme/one-{uuid.uuid4().hex[:6]}", f"acme/two-{uuid.uuid4().hex[:6]}"]
    for deployment in deployments:
        made = {"name": deployment.split("/")[1], "model": fork.model, "version": fork.live(), "hardware": "cpu"}
        http_of(fork.service).post(
            "/deployments", json={**made, "min_instances": 0, "max_instances": 1}
        ).raise_for_status()
    manifest = f"models/catalog/{fork.slug}/model.yaml"
    fork.change(
        manifest, "# Run by the tests on every", f"deployments: [{', '.join(deployments)}]\n# Run by the tests on every"
    )
    fork.change("predict.py", *COMPATIBLE)

    assert fork.push("--until", "push").returncode == 0
    second = fork.last("push")["digest"]
    fork.service.break_version(second.removeprefix("sha256:"), f"models/{fork.model}-staging")
    failed = fork.push("--only", "staging")
    assert failed.returncode == 1
    assert "CUDA error" in failed.stderr
    assert fork.run("promote", fork.to, "--digest", second).returncode == 1
    assert f"sha256:{fork.live()}" == first

    fork.service.mend_version(second.removeprefix("sha256:"))
    assert fork.push("--only", "staging").returncode == 0
    fork.service.break_version(second.removeprefix("sha256:"), f"deployments/{deployments[1]}")
    failed = fork.run("promote", fork.to)
    assert failed.returncode == 1
    assert "went back" in failed.stderr
    assert [running(fork, name) for name in deployments] == [first, first]
    assert f"sha256:{fork.live()}" == first

    fork.service.mend_version(second.removeprefix("sha256:"))
    assert fork.run("promote", fork.to, "--reason", "faster").returncode == 0
    assert [running(fork, name) for name in deployments] == [second, second]
    assert f"sha256:{fork.live()}" == second
    assert fork.last("promote")["why"] == "faster"

    back = fork.run("rollback")
    assert back.returncode == 0
    assert f"but {fork.newest()[:12]} stays the newest version" in back.stderr
    assert [running(fork, name) for name in deployments] == [first, first]
    assert f"sha256:{fork.live()}" == first
    listing = fork.run("releases").stdout
    assert re.search(rf"ok, live\s+{first[:19]}", listing)
    assert fork.service.token not in fork.output + (fork.folder / "releases" / f"{fork.slug}.jsonl").read_text()


def running(fork: Fork, deployment: str) -> str:
    """The digest that a deployment runs."""
    return f"sha256:{client_of(fork.service).deployments.get(deployment).current_release.version}"
