"""Shared fixtures: Cog's real server of the default model, one per engine, each started once per session."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from models import manifest, runtimes
from scripts.cli import connection
from scripts.conversion import weights
from scripts.serving import local_server
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


@contextmanager
def serving(engine: str, slug: str = "") -> Iterator[LiveServer]:
    """A server of the model `slug`, by default the selected one."""
    with ExitStack() as until_the_end:
        with pytest.MonkeyPatch.context() as environment:  # only the server is started on this engine
            environment.setenv("ENGINE", engine)
            model = manifest.load(slug) if slug else manifest.selected()
            weights.ensure(model, runtimes.choose(model))
            address, process = until_the_end.enter_context(local_server.running(model))
        local_server.wait_until_ready(address, process)
        yield LiveServer(address, engine)


@pytest.fixture(scope="session")
def openvino_server() -> Iterator[LiveServer]:
    with serving("openvino") as running:
        yield running


@pytest.fixture(scope="session")
def transformers_server() -> Iterator[LiveServer]:
    with serving("transformers") as running:
        yield running


@pytest.fixture
def server(openvino_server: LiveServer) -> LiveServer:
    """The default server of the tests."""
    return openvino_server


@pytest.fixture(params=["openvino", "transformers"])
def each_server(request: pytest.FixtureRequest) -> LiveServer:
    """A server on each engine, one after another."""
    return request.getfixturevalue(f"{request.param}_server")
