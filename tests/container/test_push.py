"""`python -m scripts.push` against real registries on this machine.

Nothing here can reach Replicate's own registry: r8.im is pushed to only where that name is this machine for the tests
and for the engine, and every push goes without credentials.
"""

import subprocess
import sys
import uuid
from pathlib import Path

import httpx
import pytest

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


def push(*arguments: str) -> subprocess.CompletedProcess[str]:
    return host.run(sys.executable, "-m", "scripts.push", *arguments, "--device", "cpu", seconds=600)


def latest(registry: str, repository: str) -> httpx.Response:
    headers = {"Accept": ", ".join(MANIFEST_TYPES)}
    return httpx.head(f"http://{registry}/v2/{repository}/manifests/latest", headers=headers)


@pytest.mark.parametrize("place", ["registry", "r8_im"])
def test_the_printed_digest_is_the_one_that_the_registry_serves(place: str, request: pytest.FixtureRequest) -> None:
    registry = request.getfixturevalue(place)
    pushed = push(f"{registry}/acme/smollm2")
    assert pushed.returncode == 0, pushed.stderr
    served = latest(registry, "acme/smollm2").headers["Docker-Content-Digest"]
    assert pushed.stdout.splitlines()[-1] == f"{registry}/acme/smollm2@{served}"


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
