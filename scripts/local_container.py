"""A container of an image with a Cog server, on a free port of 127.0.0.1, removed when the block ends.

A process that is killed cannot remove its container; the next one that starts one does.
"""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from models import engines
from scripts.local_server import HOST, ServerError, wait_until_ready

PORT = 5000
LABEL = "cog-template.started-by"  # HOST/PID


@contextmanager
def running(image: str, environment: Mapping[str, str] | None = None) -> Iterator[tuple[str, Any]]:
    """The address of the image's server, once its setup is done, and the container; it has the GPU where there is one.

    Raises:
        ServerError: there is no engine or no such image, or setup failed; says why.
    """
    import docker

    try:
        client = docker.from_env(timeout=120)
    except docker.errors.DockerException as error:
        raise ServerError("the Docker engine does not answer: start it, then: make doctor") from error
    gpus = [docker.types.DeviceRequest(count=-1, capabilities=[["gpu"]])] if engines.has_cuda_device() else []
    try:
        _remove_abandoned(client)
        container = client.containers.run(
            image,
            detach=True,
            labels={LABEL: f"{socket.gethostname()}/{os.getpid()}"},
            ports={f"{PORT}/tcp": (HOST, None)},
            device_requests=gpus,
            environment=environment,
        )
        try:
            container.reload()
            address = f"http://{HOST}:{container.ports[f'{PORT}/tcp'][0]['HostPort']}"
            wait_until_ready(address, _Alive(container))
            yield address, container
        finally:
            with suppress(docker.errors.NotFound):
                container.remove(force=True)
    except docker.errors.ImageNotFound as error:
        raise ServerError(f"there is no image {image}: make image") from error
    except docker.errors.APIError as error:
        raise ServerError(f"the Docker engine refuses to run {image}: {error.explanation or error}") from error
    finally:
        client.close()


def memory_peak(container: Any) -> int:
    """The most bytes that the container has used so far; 0 where the kernel does not say."""
    code, output = container.exec_run(["cat", "/sys/fs/cgroup/memory.peak"])
    return int(output) if code == 0 and output.strip().isdigit() else 0


def _remove_abandoned(client: Any) -> None:
    """Remove the containers of this machine's processes that are no more."""
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


class _Alive:
    """What `wait_until_ready` asks of a process: whether it has ended, and how."""

    def __init__(self, container: Any) -> None:
        self._container = container
        self.returncode: int | None = None

    def poll(self) -> int | None:
        self._container.reload()
        if self._container.status in ("exited", "dead"):
            self.returncode = self._container.attrs["State"]["ExitCode"]
        return self.returncode
