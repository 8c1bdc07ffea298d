"""`python -m scripts.push` to a plain local registry: what it pushes, prints and refuses.

No push uses credentials. Releases to Replicate are tested in test_release*.py.
"""

import json
import os
import uuid
from pathlib import Path

import docker
import httpx
import numpy as np
import pytest
from safetensors.numpy import save_file

from scripts.serving.local_server import free_port
from tests import commands

from .fork import MANIFEST, Fork, make, new_name

REGISTRY = "127.0.0.1:5055"


@pytest.fixture
def registry() -> str:
    try:
        httpx.get(f"http://{REGISTRY}/v2/").raise_for_status()
    except httpx.HTTPError as error:
        commands.skip_or_fail(f"a registry at {REGISTRY} (docker run -d -p {REGISTRY}:5000 registry:2): {error}")
    return REGISTRY


@pytest.fixture
def fork(registry: str, tmp_path: Path) -> Fork:
    return make(tmp_path / "fork", f"{registry}/{new_name()}")


def pushed_layers(fork: Fork) -> dict[str, int]:
    """Push to staging; returns the layers in the registry: compressed size in bytes, by digest."""
    fork.succeed("--until", "push")
    address = f"http://{REGISTRY}/v2/{fork.model}"
    manifest = httpx.get(f"{address}/manifests/staging", headers={"Accept": MANIFEST}).json()
    for layer in manifest["layers"]:
        blob = httpx.head(f"{address}/blobs/{layer['digest']}")
        assert int(blob.headers["Content-Length"]) == layer["size"]
    return {layer["digest"]: layer["size"] for layer in manifest["layers"]}


def not_in(first: dict[str, int], second: dict[str, int]) -> list[int]:
    """The sizes of the layers that the second push had to upload, smallest first."""
    return sorted(size for digest, size in second.items() if digest not in first)


def test_a_plain_registry_gets_a_staging_tag_and_then_the_same_digest_and_the_contract_is_stored(
    fork: Fork, engine: docker.DockerClient
) -> None:
    printed = fork.push("--until", "push").stdout.splitlines()[-1]
    assert printed == f"{fork.to}@{fork.held(tag='staging')}"
    assert fork.held() == ""

    assert fork.succeed() == fork.held() == fork.held(tag="staging")
    assert printed.endswith(fork.held())
    assert [fork.last(step)["digest"] for step in ("staging", "promote")] == [fork.held()] * 2
    assert fork.push("--only", "promote").returncode == 0
    assert fork.last("promote")["schema_id"] == fork.last("push")["schema_id"] != ""

    live = json.loads((fork.folder / "releases/schemas" / f"{fork.last('promote')['schema_id']}.json").read_text())
    assert live == json.loads(engine.images.get(f"{fork.to}:staging").labels["run.cog.openapi_schema"])
    inputs = live["components"]["schemas"]["Input"]
    assert set(inputs["properties"]) == {"prompt", "count", "loud", "key"}
    assert inputs["properties"]["key"]["nullable"]
    assert "required" not in inputs

    fork.change("predict.py", "class TextGeneration", "# Paris is the capital of France.\nclass TextGeneration")
    assert ": no change" in fork.push("--until", "contract").stderr

    text = (
        (fork.folder / "predict.py").read_text().replace("le=3", "le=MOST").replace("class", "MOST = 3\n\n\nclass", 1)
    )
    (fork.folder / "predict.py").write_text(text)
    refused = fork.push("--dirty")
    assert refused.returncode == 1
    assert "the input count: le=MOST is not a literal to Cog, which would leave it out" in refused.stderr


def test_a_change_of_code_manifest_or_weights_pushes_only_the_changed_layer(fork: Fork, tmp_path: Path) -> None:
    give_weights(fork, tmp_path / "model.safetensors")
    first = pushed_layers(fork)
    assert sum(first.values()) > 1e8
    change_code(fork)
    second = pushed_layers(fork)
    assert 0 < sum(not_in(first, second)) < 1e6
    fork.change(f"models/catalog/{fork.slug}/model.yaml", "\ntitle: ", "\ntitle: The new ")
    first, second = second, pushed_layers(fork)
    assert 0 < sum(not_in(first, second)) < 1e6

    (fork.folder / "weights" / fork.slug / "source" / "new.bin").write_text("another file")
    *code, weights = not_in(second, pushed_layers(fork))
    assert weights > 1e7
    assert sum(code) < 1e6, code


def change_code(fork: Fork) -> None:
    """Commit, with one more line of code in the image."""
    path = "models/errors.py"
    fork.commit(path, f"{(fork.folder / path).read_text()}# {uuid.uuid4()}\n")


def give_weights(fork: Fork, path: Path) -> None:
    """Name a new file in the manifest, big enough that cog puts it into the layer of the weights."""
    save_file({"random": np.frombuffer(os.urandom(12 << 20), np.uint8)}, path)
    (fork.folder / "weights").unlink()
    manifest = fork.folder / "models" / "catalog" / fork.slug / "model.yaml"
    manifest.write_text(manifest.read_text().replace("weights: {}", f"weights: {{source: 'file:{path}'}}"))
    assert fork.run("weights_lock").returncode == fork.run("render").returncode == 0
    change_code(fork)


def test_a_dry_run_prints_what_each_stage_would_do_and_does_nothing(fork: Fork) -> None:
    tried = fork.push("--dry-run")
    assert tried.returncode == 0, tried.stderr
    assert f"push: would cog push {fork.to}:staging" in tried.stdout.splitlines()
    assert tried.stdout.splitlines()[-1] == f"promote: would make that digest live at {fork.to}"
    assert fork.held() == fork.held(tag="staging") == ""
    assert not (fork.folder / "releases").exists()


def test_no_destination_is_wrong_usage_with_a_remedy(fork: Fork) -> None:
    fork.to = ""
    refused = fork.push()
    assert refused.returncode == 2
    assert refused.stderr.splitlines() == [
        "where to? make push TO=r8.im/OWNER/MODEL, or TO=REGISTRY/OWNER/MODEL, in lower case, without a tag",
    ]


def test_a_refusing_registry_is_reported_in_one_line(fork: Fork) -> None:
    fork.to = f"127.0.0.1:{free_port()}/acme/smollm2"
    refused = fork.push()
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("cog push failed")
    assert "connection refused" in refused.stderr
    assert fork.last("push")["result"] == "refused"
