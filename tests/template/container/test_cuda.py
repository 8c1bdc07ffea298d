"""The CUDA configuration, without a GPU: Cog accepts it, and its packages run the model on a CPU."""

import sys
from collections.abc import Iterator

import docker
import httpx
import pytest

from models.manifest import Manifest
from models.weights import PROJECT
from scripts import render

from . import host

IMAGE = "template:cuda-packages"
INPUT = {"prompt": "The capital of France is", "temperature": 0, "max_tokens": 24}
BAKE = (
    "from models import manifest; from scripts import image; m = manifest.selected(); image.bake(m, m.engine_on({!r}))"
)


@pytest.fixture(scope="module")
def cuda_packages(engine: docker.DockerClient, model: Manifest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image of the project as cog.yaml has it, but with `gpu: false`."""
    config = render.cog_config(model, "cuda")
    assert config.count("gpu: true") == 1
    copy = host.copy_project(tmp_path_factory.mktemp("project"))
    (copy / "cog.yaml").write_text(config.replace("gpu: true", "gpu: false"))
    host.succeed(sys.executable, "-c", BAKE.format("cuda"), cwd=copy, MODEL=model.slug)
    host.succeed("cog", "build", "--use-cog-base-image=false", "-t", IMAGE, cwd=copy, seconds=1200)
    return IMAGE


def test_cog_accepts_the_gpu_configuration(model: Manifest) -> None:
    dockerfile = host.succeed("cog", "debug", "-f", "cog.yaml", "--use-cog-base-image=false").splitlines()
    bases = [line for line in dockerfile if line.startswith("FROM ")]
    assert len(bases) == 1
    assert bases[0].startswith("FROM nvidia/cuda:")
    assert any("pip install" in line and line.endswith("-r /tmp/requirements.txt") for line in dockerfile)
    assert any(f"MODEL={model.slug}" in line for line in dockerfile if line.startswith("ENV "))


def test_the_image_holds_the_pinned_packages(engine: docker.DockerClient, cuda_packages: str) -> None:
    lines = (PROJECT / "requirements/text_generation.txt").read_text().splitlines()
    pinned = {line.casefold() for line in lines if not line.startswith("#")}
    pip = next(line for line in pinned if line.startswith("pip=="))  # which pip's own list leaves out
    version = host.succeed("docker", "run", "--rm", cuda_packages, "python", "-m", "pip", "--version")
    assert version.split()[1] == pip.removeprefix("pip==")
    freeze = engine.images.get(cuda_packages).labels["run.cog.pip_freeze"].casefold().splitlines()
    # PyTorch's own index, where it can be reached, gives a local version such as 2.11.0+cpu.
    installed = {package.partition("+")[0] for package in freeze}
    assert pinned - {pip} <= installed


def test_cog_predict_answers(cuda_packages: str) -> None:
    inputs = [argument for name, value in INPUT.items() for argument in ("-i", f"{name}={value}")]
    assert "Paris" in host.joined(host.succeed("cog", "predict", cuda_packages, *inputs))


@pytest.fixture(scope="module")
def address(engine: docker.DockerClient, cuda_packages: str) -> Iterator[str]:
    with host.container(engine, cuda_packages) as server:
        host.health_once(server, "READY")
        yield server


def test_transformers_answers_on_the_cpu(address: str) -> None:
    prediction = httpx.post(f"{address}/predictions", json={"input": INPUT}, timeout=120).json()
    assert prediction["status"] == "succeeded", prediction
    assert "Paris" in "".join(prediction["output"])
    assert (prediction["metrics"]["engine"], prediction["metrics"]["device"]) == ("transformers", "cpu")
