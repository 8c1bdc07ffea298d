"""Cog's real server of a model, as tests of a fork and of the template start it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from models import runtimes
from models.manifest import Manifest
from scripts.conversion import weights
from scripts.serving import local_server


@contextmanager
def serving(model: Manifest, engine: str) -> Iterator[str]:
    """The address of a server of the model on `engine`; ready when the block begins."""
    with ExitStack() as until_the_end:
        with pytest.MonkeyPatch.context() as environment:  # only the server is started on this engine
            environment.setenv("ENGINE", engine)
            weights.ensure(model, runtimes.choose(model))
            address, _ = until_the_end.enter_context(local_server.running(model))
        yield address
