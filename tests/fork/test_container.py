"""The selected model's container: built like `make image`, and tested like `make push`."""

import os
import shutil

import pytest

from models.manifest import Manifest
from scripts.contract import schema
from scripts.release import image, proof
from scripts.serving import docker_engine

pytestmark = pytest.mark.container


@pytest.fixture
def needs_docker() -> None:
    """Skips without a Docker engine or cog; fails with CONTAINER_TESTS=required."""
    try:
        docker_engine.connected().__enter__().close()
        missing = "" if shutil.which("cog") else "the cog command"
    except docker_engine.NoEngine as error:
        missing = str(error)
    if missing and os.environ.get("CONTAINER_TESTS") == "required":
        pytest.fail(f"CONTAINER_TESTS=required, but this machine lacks {missing}", pytrace=False)
    if missing:
        pytest.skip(f"this machine lacks {missing}: make doctor")


def test_the_image_does_what_its_schema_and_the_manifest_say(needs_docker: None, model: Manifest) -> None:
    name = image.build(model, "cpu")
    problems: list[str] = []
    proof.tried(model, name, schema.generate(schema.served_class(model)), on_gpu=False, problems=problems)
    assert problems == []
