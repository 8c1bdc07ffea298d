"""For every container test: the marker `container`, a host that can run it, and the project's CPU image."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from replicate.client import Client
from replicate.version import Version

from models import manifest
from models.manifest import Manifest
from scripts.release import image
from tests import commands
from tests.services.replicate import Replicate
from tests.services.replicate_client import client_of, first_version, with_model

from . import host
from .test_secrets import TOKENS

HERE = Path(__file__).parent
# cog build --separate-weights takes any file of this size (10 MiB) or more for weights.
BIG = 10 << 20
CLUTTER = (
    ".env",
    "models/.env",
    ".git/HEAD",
    "models/__pycache__/errors.pyc",
    "models/catalog/other/model.yaml",
    "models/catalog/other/model.gguf",
    "baked/other/openvino/model.bin",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("container")


@pytest.fixture(scope="session", autouse=True)
def engine(tmp_path_factory: pytest.TempPathFactory, testrun_uid: str) -> Iterator[docker.DockerClient]:
    with host.engine(tmp_path_factory, testrun_uid) as client:
        yield client


@pytest.fixture(scope="session")
def model() -> Manifest:
    """The model in the images."""
    return manifest.selected()


@pytest.fixture(scope="session")
def cpu_image(engine: docker.DockerClient, model: Manifest) -> str:
    """The name of the CPU image, built like `make image`."""
    return image.build(model, "cpu", tag="template:cpu")


@pytest.fixture(scope="session")
def cluttered(engine: docker.DockerClient, model: Manifest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of the CPU image of a copy that is full of big files with tokens, built with the tokens' variables."""
    copy = host.copy_project(tmp_path_factory.mktemp("cluttered"))
    content = "".join(f"{name}={token}\n" for name, token in TOKENS.items()).ljust(BIG)
    for clutter in CLUTTER:
        (copy / clutter).parent.mkdir(parents=True, exist_ok=True)
        (copy / clutter).write_text(content)
    command = [sys.executable, "-m", "scripts.image", "--device", "cpu", "--tag", "template:cluttered"]
    commands.succeed(*command, cwd=copy, MODEL=model.slug, **TOKENS)
    return "template:cluttered"


@pytest.fixture(scope="session")
def address(engine: docker.DockerClient, cpu_image: str) -> Iterator[str]:
    """The address of a ready container of the CPU image."""
    with host.container(engine, cpu_image) as server:
        host.health_once(server, "READY")
        yield server


@pytest.fixture
def r8_im(engine: docker.DockerClient) -> str:
    """The name r8.im, if it is the local registry and not Replicate's."""
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo("r8.im", 80)}
    except OSError:
        addresses = set()
    known_to_engine = engine.info()["RegistryConfig"]["IndexConfigs"].get("r8.im", {"Secure": True})
    if addresses != {"127.0.0.1"} or known_to_engine["Secure"]:
        pytest.skip("r8.im is not a registry of this machine, and tests never push to Replicate's")
    return "r8.im"


@pytest.fixture(scope="module")
def service(request: pytest.FixtureRequest) -> Iterator[Replicate]:
    """The local Replicate with one private model, of the name that the test's module gives."""
    with with_model(request.module.NAME) as started:
        yield started


@pytest.fixture
def client(service: Replicate) -> Client:
    return client_of(service)


@pytest.fixture
def version(
    request: pytest.FixtureRequest, r8_im: str, engine: docker.DockerClient, service: Replicate, cpu_image: str
) -> Version:
    """The CPU image, pushed once as the first version of that model."""
    return first_version(service, engine, request.module.NAME, cpu_image)
