"""The Docker engine that Docker's own commands would ask: of DOCKER_HOST or of the current context."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from models.errors import TemplateError, in_words

_START = "open -a Docker" if sys.platform == "darwin" else "sudo systemctl start docker"
_OTHER = "docker context use default"


class NoEngine(TemplateError):
    """The engine does not answer; `found`: what is the matter; `mend`: a command."""

    def __init__(self, found: str, mend: str) -> None:
        super().__init__(f"the Docker engine {found}: {mend}, then: make doctor")
        self.found, self.mend = found, mend


@contextmanager
def connected(seconds: float = 60) -> Iterator[Any]:
    """A docker.DockerClient whose requests may take so long; closed when the block ends.

    Raises:
        NoEngine: the engine does not answer.
    """
    import docker

    place, mend = _place()
    try:
        client = docker.from_env(timeout=seconds)
    except (docker.errors.DockerException, OSError, ValueError) as error:
        if "Permission denied" in str(error):
            raise NoEngine(f"refuses this user ({place})", "sudo usermod -aG docker $USER, and log in anew") from error
        raise NoEngine(f"does not answer ({place})", mend) from error
    try:
        yield client
    finally:
        client.close()


def _place() -> tuple[str, str]:
    """The engine's address with what names it, and the command that mends it where nothing answers there.

    Raises:
        NoEngine: a context is named that does not exist or cannot be read.
    """
    from docker.context import ContextAPI
    from docker.context.config import get_current_context_name

    if host := os.environ.get("DOCKER_HOST"):
        return f"{host}, from DOCKER_HOST", "start it, or unset DOCKER_HOST"
    name = os.environ.get("DOCKER_CONTEXT") or get_current_context_name()
    try:
        context = ContextAPI.get_context(name)
    except Exception as error:  # that is what the library raises for a file that it cannot read
        raise NoEngine(f"is that of the context {name}, which cannot be read ({in_words(error)})", _OTHER) from error
    if context is None:
        raise NoEngine(f"is that of the context {name}, which does not exist", _OTHER)
    if name == "default":
        return str(context.Host), _START
    return f"{context.Host}, from the context {name}", f"start it, or: {_OTHER}"
