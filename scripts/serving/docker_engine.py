"""The Docker engine that Docker's own commands use: from DOCKER_HOST or from the current context."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from models.errors import TemplateError, in_words

_START = "open -a Docker" if sys.platform == "darwin" else "sudo systemctl start docker"
_OTHER = "docker context use default"


class NoEngine(TemplateError):
    """The engine does not answer; `found`: the problem; `remedy`: a command."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(f"the Docker engine {found}: {remedy}, then: make doctor")
        self.found, self.remedy = found, remedy


@contextmanager
def connected(seconds: float = 60) -> Iterator[Any]:
    """A docker.DockerClient whose requests may take up to `seconds`; closed when the block ends.

    Raises:
        NoEngine: the engine does not answer.
    """
    import docker

    address, remedy = _address()
    try:
        client = docker.from_env(timeout=seconds)
    except (docker.errors.DockerException, OSError, ValueError) as error:
        if "Permission denied" in str(error):
            raise NoEngine(f"refuses this user ({address})", "sudo usermod -aG docker $USER, log in again") from error
        raise NoEngine(f"does not answer ({address})", remedy) from error
    try:
        yield client
    finally:
        client.close()


def _address() -> tuple[str, str]:
    """The engine's address and where it is configured, and the remedy if nothing answers there.

    Raises:
        NoEngine: the selected context does not exist or cannot be read.
    """
    from docker.context import ContextAPI
    from docker.context.config import get_current_context_name

    if host := os.environ.get("DOCKER_HOST"):
        return f"{host}, from DOCKER_HOST", "start it, or unset DOCKER_HOST"
    name = os.environ.get("DOCKER_CONTEXT") or get_current_context_name()
    try:
        context = ContextAPI.get_context(name)
    except Exception as error:  # the library raises it for a file that it cannot read
        raise NoEngine(f"is that of the context {name}, which cannot be read ({in_words(error)})", _OTHER) from error
    if context is None:
        raise NoEngine(f"is that of the context {name}, which does not exist", _OTHER)
    if name == "default":
        return str(context.Host), _START
    return f"{context.Host}, from the context {name}", f"start it, or: {_OTHER}"
