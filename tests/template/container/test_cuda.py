"""The engine transformers in an image: Cog accepts its configuration for a GPU, and an image without CUDA works."""

import sys
from collections.abc import Iterator

import docker
import httpx
import pytest
import yaml

from models import manifest
from models.manifest import Manifest
from scripts.dependencies import pins
from tests import commands

from . import host

IMAGE = "template:transformers"
INPUT = {"prompt": "The capital of France is", "temperature": 0, "max_tokens": 24}


@pytest.fixture(scope="module")
def transformers_image(model: Manifest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image of make image DEVICE=cpu for a model whose engine on the CPU is transformers."""
    copy = host.copy_project(tmp_path_factory.mktemp("project"))
    described = yaml.safe_load(manifest.path_of(model.slug).read_text())
    described["engines"] = [
        {"engine": "transformers", "device": device, "cache_gb": 0.25} for device in ("cuda", "cpu")
    ]
    (copy / "models" / "catalog" / model.slug / "model.yaml").write_text(yaml.safe_dump(described))
    commands.succeed(sys.executable, "-m", "scripts.render", cwd=copy, MODEL=model.slug)
    command = [sys.executable, "-m", "scripts.image", "--device", "cpu", "--tag", IMAGE]
    commands.succeed(*command, cwd=copy, seconds=1200, MODEL=model.slug)
    return IMAGE


def test_cog_accepts_the_gpu_configuration(model: Manifest) -> None:
    dockerfile = commands.succeed("cog", "debug", "-f", "cog.yaml", "--use-cog-base-image=false").splitlines()
    bases = [line for line in dockerfile if line.startswith("FROM ")]
    assert len(bases) == 1
    assert bases[0].startswith("FROM nvidia/cuda:")
    assert any("pip install" in line and line.endswith("-r /tmp/requirements.txt") for line in dockerfile)
    assert model.slug not in "".join(dockerfile)  # so all models of a task share the layers with the packages


def test_the_image_has_the_pinned_packages(engine: docker.DockerClient, transformers_image: str) -> None:
    pinned = pins.versions("transformers.txt")
    pip = pinned.pop("pip")
    del pinned["setuptools"]  # pip's own list has neither
    version = commands.succeed("docker", "run", "--rm", transformers_image, "python", "-m", "pip", "--version")
    assert version.split()[1] == pip
    freeze = engine.images.get(transformers_image).labels["run.cog.pip_freeze"].splitlines()
    # PyTorch's own index, if it can be reached, has a local version such as 2.11.0+cpu.
    installed = {package.partition("+")[0].casefold().replace("_", "-") for package in freeze}
    assert {f"{name}=={version}" for name, version in pinned.items()} <= installed


@pytest.fixture(scope="module")
def address(engine: docker.DockerClient, transformers_image: str) -> Iterator[str]:
    with host.container(engine, transformers_image) as server:
        host.health_once(server, "READY")
        yield server


def test_transformers_answers_on_the_cpu(address: str) -> None:
    prediction = httpx.post(f"{address}/predictions", json={"input": INPUT}, timeout=120).json()
    assert prediction["status"] == "succeeded", prediction
    assert "Paris" in "".join(prediction["output"])
    assert (prediction["metrics"]["engine"], prediction["metrics"]["device"]) == ("transformers", "cpu")
