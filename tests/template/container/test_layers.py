"""The image's layers: the weights have their own, whatever images of earlier builds the engine has."""

import docker
import pytest

from models.manifest import Manifest
from scripts.release import image

from . import host

NAME = "template:weights-again"


@pytest.fixture
def no_image(engine: docker.DockerClient) -> None:
    """Remove the image NAME and its weights from the engine."""
    for built in (NAME, f"{NAME}-weights"):
        if engine.images.list(built):
            engine.images.remove(built, force=True)


def test_the_code_is_in_a_small_layer_and_the_weights_are_in_another(
    engine: docker.DockerClient, cpu_image: str, model: Manifest
) -> None:
    sizes = {layer["CreatedBy"]: layer["Size"] for layer in engine.images.get(cpu_image).history()}
    code = [size for command, size in sizes.items() if command.startswith("COPY . /src")]
    weights = [size for command, size in sizes.items() if command.startswith(f"COPY /src/baked/{model.slug}")]
    assert sum(code) < 1e6
    assert sum(weights) > 1e8


def test_every_build_has_the_weights(
    engine: docker.DockerClient, cpu_image: str, model: Manifest, no_image: None
) -> None:
    expected = host.files_in(engine, cpu_image)
    image.build(model, "cpu", tag=NAME)  # the weights of cpu_image are an image of another name
    assert host.files_in(engine, NAME) == expected

    engine.images.remove(f"{NAME}-weights")
    image.build(model, "cpu", tag=NAME)
    assert host.files_in(engine, NAME) == expected


def test_anyone_may_read_the_weights(engine: docker.DockerClient, cpu_image: str) -> None:
    unreadable = ["find", "/src/baked", "-not", "-readable"]
    assert engine.containers.run(cpu_image, unreadable, user="65534:65534", remove=True) == b""
