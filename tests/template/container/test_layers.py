"""The image's layers: the weights have their own, whatever images of earlier builds the engine has."""

import docker
import pytest

from models.manifest import Manifest
from scripts.release import image

from . import host

NAMES = ("template:weights-a", "template:weights-b")


@pytest.fixture
def no_images(engine: docker.DockerClient) -> None:
    """Remove the images of NAMES and their weights from the engine."""
    for name in NAMES:
        for built in (name, f"{name}-weights"):
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
    engine: docker.DockerClient, cpu_image: str, model: Manifest, no_images: None
) -> None:
    expected = host.files_in(engine, cpu_image)
    first, second = NAMES
    image.build(model, "cpu", tag=first)
    image.build(model, "cpu", tag=second)
    assert host.files_in(engine, second) == expected

    engine.images.remove(f"{first}-weights")
    image.build(model, "cpu", tag=first)
    assert host.files_in(engine, first) == expected


def test_anyone_may_read_the_weights(engine: docker.DockerClient, cpu_image: str) -> None:
    unreadable = ["find", "/src/baked", "-not", "-readable"]
    assert engine.containers.run(cpu_image, unreadable, user="65534:65534", remove=True) == b""
