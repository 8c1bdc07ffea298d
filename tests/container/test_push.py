"""`python -m scripts.push` against real registries on this machine.

Nothing here can reach Replicate's own registry: r8.im is pushed to only where that name is this machine for the tests
and for the engine, and every push goes without credentials.
"""

import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import httpx
import pytest

from models import engines
from models.manifest import Manifest
from models.weights import PROJECT
from scripts.local_server import free_port

from . import host

REGISTRY = "127.0.0.1:5055"
MANIFEST_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)


@pytest.fixture(autouse=True)
def no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Docker configuration that knows no login; the entry keeps Docker from looking in the system's keychain."""
    (tmp_path / "config.json").write_text('{"auths": {"registry.invalid": {}}}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


@pytest.fixture
def registry() -> str:
    try:
        httpx.get(f"http://{REGISTRY}/v2/").raise_for_status()
    except httpx.HTTPError as error:
        host.lacks(f"a registry at {REGISTRY} (docker run -d -p {REGISTRY}:5000 registry:2): {error}")
    return REGISTRY


def push(*arguments: str, project: Path = PROJECT, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scripts.push", *arguments, "--device", "cpu"]
    return host.run(*command, cwd=project, seconds=600, **variables)


def latest(registry: str, repository: str) -> httpx.Response:
    headers = {"Accept": ", ".join(MANIFEST_TYPES)}
    return httpx.head(f"http://{registry}/v2/{repository}/manifests/latest", headers=headers)


def pushed_layers(project: Path, registry: str, repository: str, model: Manifest) -> dict[str, int]:
    """Push a project; the layers that the registry then serves: compressed size in bytes, by digest."""
    pushed = push(f"{registry}/{repository}", project=project, MODEL=model.slug)
    assert pushed.returncode == 0, pushed.stderr
    headers = {"Accept": ", ".join(MANIFEST_TYPES)}
    manifest = httpx.get(f"http://{registry}/v2/{repository}/manifests/latest", headers=headers).json()
    for layer in manifest["layers"]:
        blob = httpx.head(f"http://{registry}/v2/{repository}/blobs/{layer['digest']}")
        assert int(blob.headers["Content-Length"]) == layer["size"]
    return {layer["digest"]: layer["size"] for layer in manifest["layers"]}


def not_in(first: dict[str, int], second: dict[str, int]) -> list[int]:
    """The sizes of the layers that the second push had to send, smallest first."""
    return sorted(size for digest, size in second.items() if digest not in first)


@pytest.mark.parametrize("place", ["registry", "r8_im"])
def test_the_printed_digest_is_the_one_that_the_registry_serves(place: str, request: pytest.FixtureRequest) -> None:
    registry = request.getfixturevalue(place)
    pushed = push(f"{registry}/acme/smollm2")
    assert pushed.returncode == 0, pushed.stderr
    served = latest(registry, "acme/smollm2").headers["Docker-Content-Digest"]
    assert pushed.stdout.splitlines()[-1] == f"{registry}/acme/smollm2@{served}"


def test_a_change_of_code_sends_less_than_a_megabyte(registry: str, model: Manifest, tmp_path: Path) -> None:
    copy = host.copy_project(tmp_path)
    first = pushed_layers(copy, registry, "acme/layers", model)
    assert sum(first.values()) > 1e8
    for name in ("predict.py", "models/errors.py"):
        (copy / name).write_text(f"{(copy / name).read_text()}# {uuid.uuid4()}\n")

    sent = not_in(first, pushed_layers(copy, registry, "acme/layers", model))
    assert 0 < sum(sent) < 1e6, sent


def test_a_change_of_weights_sends_the_weights_alone(registry: str, model: Manifest, tmp_path: Path) -> None:
    copy = host.copy_project(tmp_path)
    first = pushed_layers(copy, registry, "acme/layers", model)
    (copy / "weights").unlink()
    shutil.copytree(PROJECT / "weights", copy / "weights", copy_function=os.link)
    part = engines.part_of(model, model.engine_on("cpu"))
    (copy / "weights" / model.slug / part / "new.bin").write_text("another file")

    *code, weights = not_in(first, pushed_layers(copy, registry, "acme/layers", model))
    assert weights > 1e8
    assert sum(code) < 1e6, code


def test_a_dry_run_says_what_it_would_push_and_pushes_nothing(registry: str) -> None:
    repository = f"acme/dry-run-{uuid.uuid4().hex}"
    tried = push(f"{registry}/{repository}", "--dry-run")
    assert tried.returncode == 0, tried.stderr
    assert f"cog push {registry}/{repository} -f cog.cpu.yaml" in tried.stdout
    assert latest(registry, repository).status_code == 404


@pytest.mark.parametrize("to", ["", "smollm2", "acme/smollm2", f"{REGISTRY}/acme/"])
def test_a_wrong_destination_is_wrong_usage_with_a_remedy(to: str) -> None:
    refused = push(to)
    assert refused.returncode == 2
    assert refused.stderr.splitlines() == [
        "where to? make push TO=r8.im/OWNER/MODEL, or TO=REGISTRY/OWNER/MODEL",
    ]


def test_a_registry_that_refuses_ends_with_one_clear_line() -> None:
    refused = push(f"127.0.0.1:{free_port()}/acme/smollm2")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("cog push failed")
    assert "connection refused" in refused.stderr
    assert "Traceback" not in refused.stderr
