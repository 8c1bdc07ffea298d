"""A container of an image with a Cog server, on a free port of 127.0.0.1, removed when the block ends.

A process that is killed cannot remove its container. The next process that starts a container removes it.
"""

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from models import runtimes
from scripts.cli import connection
from scripts.serving import docker_engine
from scripts.serving.local_server import HOST, ServerError, wait_until_ready

PORT = 5000
LABEL = "cog-template.started-by"  # HOST/PID
_OF_PIP = ("INDEX_URL", "EXTRA_INDEX_URL", "TRUSTED_HOST", "CERT", "PROXY", "DEFAULT_TIMEOUT", "RETRIES")
_OF_DOWNLOADS = ("HF_ENDPOINT", *(f"PIP_{name}" for name in _OF_PIP))


@contextmanager
def running(image: str, options: Mapping[str, Any] | None = None) -> Iterator[tuple[str, Any]]:
    """The address of the image's server after its setup, and the container; `options`: more of docker's.

    An image built for a GPU gets this machine's GPU if there is one.

    Raises:
        ServerError: there is no such image, or setup failed; says why.
        TemplateError: there is no Docker engine.
    """
    import docker

    try:
        with docker_engine.connected(120) as client:
            _remove_abandoned(client)
            container = client.containers.run(
                image,
                detach=True,
                labels={LABEL: f"{socket.gethostname()}/{os.getpid()}"},
                ports={f"{PORT}/tcp": (HOST, None)},
                device_requests=gpus(client, image),
                **options or {},
            )
            try:
                container.reload()
                published = container.ports.get(f"{PORT}/tcp")
                if not published:
                    raise ServerError(f"the container of {image} ended at once: docker run --rm {image} shows why")
                address = f"http://{HOST}:{published[0]['HostPort']}"
                wait_until_ready(address, Alive(container))
                yield address, container
            finally:
                with suppress(docker.errors.NotFound):
                    container.remove(force=True)
    except docker.errors.ImageNotFound as error:
        raise ServerError(f"there is no image {image}: make image") from error
    except docker.errors.APIError as error:
        raise ServerError(f"the Docker engine refuses to run {image}: {error.explanation or error}") from error


def for_fetching() -> dict[str, Any]:
    """Options that let a container download like this machine: with the token, the proxies, and pip's index."""
    import docker
    from huggingface_hub import get_token

    given = {name: os.environ[name] for name in _OF_DOWNLOADS if name in os.environ} | connection.proxies_elsewhere()
    if token := get_token():
        given["HF_TOKEN"] = token
    certificates = given.get("PIP_CERT")
    mounts = [docker.types.Mount(certificates, certificates, "bind", read_only=True)] if certificates else []
    return {"environment": given, "mounts": mounts}


def memory_peak(container: Any) -> int:
    """The peak memory of the container so far (bytes); 0 if the kernel does not report it."""
    code, output = container.exec_run(["cat", "/sys/fs/cgroup/memory.peak"])
    return int(output) if code == 0 and output.strip().isdigit() else 0


def gpus(client: Any, image: str) -> list[Any]:
    """Docker's device requests for an image that cog built with `gpu: true`, if this machine has a GPU."""
    import docker

    if not runtimes.has_cuda_device():
        return []
    try:
        found = client.images.get(image)
    except docker.errors.ImageNotFound:
        found = client.images.pull(image)
    config = json.loads(found.labels.get("run.cog.config", "{}"))
    wanted = config.get("build", {}).get("gpu")
    return [docker.types.DeviceRequest(count=-1, capabilities=[["gpu"]])] if wanted else []


def _remove_abandoned(client: Any) -> None:
    """Remove containers whose starting process, on this machine, has ended."""
    import docker

    for container in client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True):
        host, _, process = container.labels[LABEL].rpartition("/")
        if host == socket.gethostname() and not _is_running(int(process)):
            with suppress(docker.errors.APIError):
                container.remove(force=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Alive:
    """A container with the process interface of `wait_until_ready`: whether it has ended, and its exit code."""

    def __init__(self, container: Any) -> None:
        self._container = container
        self.returncode: int | None = None

    def poll(self) -> int | None:
        self._container.reload()
        if self._container.status in ("exited", "dead"):
            self.returncode = self._container.attrs["State"]["ExitCode"]
        return self.returncode
