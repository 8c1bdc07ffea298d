"""Cog's real HTTP server, started on this machine without Docker; shared by the commands and the tests."""

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol

from models import leftovers
from models.errors import TemplateError
from models.manifest import PROJECT, Manifest
from scripts.cli import connection
from scripts.contract import schema

HOST, PORT = "127.0.0.1", 5001
SERVED = f"http://{HOST}:{PORT}"
"""The address of make serve, unless a PORT is chosen."""
_PYTHON = {"PYTHONUTF8": "1", "PYTHONIOENCODING": "", "PYTHONSAFEPATH": ""}  # empty counts as not set
_PORTS = range(20_000, 32_768)
_STOP_SECONDS = 5
_REMINDER_SECONDS = 30
_PATIENCE_SECONDS = 10
_FINAL = ("UNHEALTHY", "DEFUNCT")


class ServerError(TemplateError):
    """The server could not start, or will not answer any more."""


@contextmanager
def running(
    manifest: Manifest, port: int = 0, log: IO[bytes] | None = None
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address and process of a server that is ready; stopped, with its workers, when the block ends.

    `port`: 0 for a free one; `log` receives the server's output, which is discarded by default.

    Raises:
        ServerError: it did not become ready; says why.
    """
    port = port or free_port()
    address = f"http://{HOST}:{port}"
    with ExitStack() as until_the_end:
        with _only_one_starts():
            process = start(manifest, port, log)
            until_the_end.callback(stop, process)
            wait_until_ready(address, process)
        yield address, process


@contextmanager
def _only_one_starts() -> Iterator[None]:
    """Wait until no other server of this project is starting.

    coglet 0.22 reads .cog/openapi_schema.json only when the model is loaded. A server of another class that started
    before that would replace the file, and this server would check its inputs by the other one's schema.
    """
    from filelock import FileLock, Timeout

    (PROJECT / ".cog").mkdir(exist_ok=True)
    lock = FileLock(PROJECT / ".cog" / "server.lock")
    try:
        lock.acquire(timeout=_PATIENCE_SECONDS)
    except Timeout:
        print("another server of this project is starting: waiting for it", file=sys.stderr, flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def start(manifest: Manifest, port: int, log: IO[bytes] | None) -> subprocess.Popen[bytes]:
    """Start the server in a process group of its own, so that Ctrl-C reaches only the script.

    Raises:
        ServerError: the port is taken.
    """
    if not _is_free(port):
        raise ServerError(
            f"port {port} is in use: stop the program that uses it, or choose another: make serve PORT={port + 1}"
        )
    schema.write_for_server(schema.served_class(manifest))
    return start_in(PROJECT, port, variables_of(manifest), log)


def variables_of(manifest: Manifest) -> dict[str, str]:
    """The environment of Cog's server that names the model and its class; in an image, cog sets it."""
    name = schema.served_class(manifest)
    return manifest.environment | {
        "MODEL": manifest.slug,
        "COG_PREDICT_TYPE_STUB": f"predict.py:{name}",
        "COG_MAX_CONCURRENCY": str(schema.max_concurrency(name)),
    }


def start_in(folder: Path, port: int, variables: dict[str, str], log: IO[bytes] | None) -> subprocess.Popen[bytes]:
    """Start Cog's server in `folder`; `variables` name the class that it serves.

    Raises:
        ServerError: another user of this machine owns Cog's folder for predictions.
    """
    _share_predictions_folder()
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PORT": str(port),
        "COG_LOG_LEVEL": os.environ.get("COG_LOG_LEVEL", "warn"),
        "TMPDIR": tempfile.gettempdir(),  # that of the environment if it is usable
        **_PYTHON,
    }
    command = [sys.executable, "-m", "cog.server.http", "--host", HOST]
    output = log or subprocess.DEVNULL
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment | variables,
        stdout=output,
        stderr=output,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


class Process(Protocol):
    """A process or a container: `returncode` is set once `poll` has seen its end."""

    returncode: Any

    def poll(self) -> int | None: ...


def wait_until_ready(address: str, process: Process | None = None) -> None:
    """Return once the model is loaded.

    `process`: of the server, if this program started it; any other server must already answer.

    Raises:
        ServerError: setup failed (says why), or the server ended or will never answer.
    """
    import httpx

    remind_at = time.monotonic() + _REMINDER_SECONDS
    with connection.client(address) as client:
        while process is None or process.poll() is None:
            try:
                health = client.get("/health-check").json()
            except httpx.TransportError as error:
                if process is None:
                    raise ServerError(f"the server at {address} no longer answers ({error})") from error
                health = {"status": "STARTING"}
            except ValueError:
                health = None
            check_alive(address, health)
            if health.get("status") != "STARTING":
                return
            if time.monotonic() > remind_at:
                print(
                    f"the server at {address} is still loading its model: waiting for it", file=sys.stderr, flush=True
                )
                remind_at += _REMINDER_SECONDS
            time.sleep(0.02)
    raise ServerError(f"the server ended with exit code {process.returncode} before it was ready: make doctor")


def check_answers(address: str, problem: str = "") -> dict[str, Any]:
    """The answer of /health-check, from a server that answers predictions, now or soon.

    `problem`: the error's first words if it does not answer.

    Raises:
        ServerError: it does not answer, its setup failed, or its status is UNHEALTHY or DEFUNCT.
    """
    import httpx

    try:
        health: dict[str, Any] = connection.ask("GET", f"{address}/health-check", timeout=10).json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        problem = problem or f"the server at {address} no longer answers"
        raise ServerError(f"{problem} ({connection.reason(error)})") from error
    check_alive(address, health)
    return health


def check_alive(address: str, health: Any) -> None:
    """Check the answer of /health-check: the server can answer predictions, now or later.

    Raises:
        ServerError: it never will; says why.
    """
    if not isinstance(health, dict) or "status" not in health:
        raise ServerError(f"{address}/health-check does not answer like Cog: it is not a Cog server")
    status = health["status"]
    if status == "SETUP_FAILED":
        raise ServerError(_reason((health.get("setup") or {}).get("logs") or ""))
    if status in _FINAL:
        reason = health.get("user_healthcheck_error") or "without a reason"
        raise ServerError(
            f"the server at {address} is {status} ({reason}): its worker has died or its model failed for good; "
            "see its log, and start it again"
        )


def check_served(url: str) -> None:
    """Check that a Cog server is ready at `url`.

    Raises:
        ServerError: there is none.
    """
    health = check_answers(url.rstrip("/"), f"no Cog server answers at {url}: start one with make serve")
    if health["status"] != "READY":
        raise ServerError(f"the server at {url} is {health['status']}, not READY: wait for it")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and its workers: with SIGTERM, and after some seconds with SIGKILL."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def free_port() -> int:
    """A free port for a server that starts later.

    It is not one of those that systems give to whoever asks for any port (from 32768 on): another program would
    sometimes get it before the server listens.
    """
    return next(port for port in random.Random().sample(_PORTS, len(_PORTS)) if _is_free(port))


def _share_predictions_folder() -> None:
    """Let every user of this machine write to the folder, as in /tmp. Cog makes it writable for the first user only.

    Raises:
        ServerError: it already belongs to another user.
    """
    for folder in (leftovers.FOLDER.parent, leftovers.FOLDER):
        with suppress(OSError):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o1777)
    if not os.access(leftovers.FOLDER, os.W_OK | os.X_OK):
        raise ServerError(
            f"Cog keeps predictions in {leftovers.FOLDER}, and this user may not write there: "
            f"sudo chmod 1777 {leftovers.FOLDER.parent} {leftovers.FOLDER}"
        )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _reason(logs: str) -> str:
    """The line of the setup log that says what went wrong, without Cog's and Python's prefixes."""
    lines = [line.strip() for line in logs.splitlines() if line.strip()]
    errors = [line for line in lines if "Error: " in line] or lines or ["setup failed without a message"]
    return without_prefix(errors[-1])


def without_prefix(error: str) -> str:
    """An exception's message without Cog's prefix: its own words and the exception's name."""
    return error.partition("Error: ")[2] or error
