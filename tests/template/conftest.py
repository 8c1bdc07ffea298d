"""Shared fixtures: Cog's real server of the default model, one per engine, each started once per session."""

import os
from collections.abc import Iterator

import pytest

from models import manifest
from scripts.cli import connection
from tests.serving import serving
from tests.template.server.live_server import LiveServer

MODEL = "smollm2-135m-instruct"
"""The model that these tests use."""
connection.bypass_proxies_locally()
if MODEL not in manifest.slugs():
    collect_ignore_glob = ["*"]
elif manifest.selected().slug != MODEL:
    os.environ["MODEL"] = MODEL


@pytest.fixture(autouse=True, scope="module")
def weights_root() -> Iterator[None]:
    """Undo what loading a model does for the rest of a process: models/weights/places.py sets WEIGHTS_ROOT."""
    before = os.environ.get("WEIGHTS_ROOT")
    yield
    if before is None:
        os.environ.pop("WEIGHTS_ROOT", None)
    else:
        os.environ["WEIGHTS_ROOT"] = before


@pytest.fixture(scope="session")
def openvino_server() -> Iterator[LiveServer]:
    with serving(manifest.selected(), "openvino") as address:
        yield LiveServer(address, "openvino")


@pytest.fixture(scope="session")
def transformers_server() -> Iterator[LiveServer]:
    with serving(manifest.selected(), "transformers") as address:
        yield LiveServer(address, "transformers")


@pytest.fixture
def server(openvino_server: LiveServer) -> LiveServer:
    """The default server of the tests."""
    return openvino_server


@pytest.fixture(params=["openvino", "transformers"])
def each_server(request: pytest.FixtureRequest) -> LiveServer:
    """A server on each engine, one after another."""
    return request.getfixturevalue(f"{request.param}_server")
