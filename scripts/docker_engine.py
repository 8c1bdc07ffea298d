"""The Docker engine of this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from models.errors import TemplateError


@contextmanager
def connected(seconds: float = 60) -> Iterator[Any]:
    """A docker.DockerClient whose requests may take so long; closed when the block ends.

    Raises:
        TemplateError: the engine does not answer.
    """
    import docker

    try:
        client = docker.from_env(timeout=seconds)
    except docker.errors.DockerException as error:
        raise TemplateError("the Docker engine does not answer: start it, then: make doctor") from error
    try:
        yield client
    finally:
        client.close()
