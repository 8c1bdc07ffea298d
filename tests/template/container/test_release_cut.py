"""A push whose connections to the registry are cut in the middle, by a proxy between registry and engine."""

import re
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import docker
import pytest

from .fork import Fork, make, new_name

REGISTRY = ("127.0.0.1", 5055)


class Proxy:
    """A port of 127.0.0.1 that forwards to the registry inside a `with` block.

    `cuts`: a request whose first line matches loses its connection in the middle, the given number of times.
    """

    def __init__(self, cuts: dict[str, int]) -> None:
        self.cuts = cuts
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                registry = socket.create_connection(REGISTRY)
                for source, target, watch in ((client, registry, True), (registry, client, False)):
                    threading.Thread(target=self._relay, args=(source, target, watch), daemon=True).start()

    def _relay(self, source: socket.socket, target: socket.socket, watch: bool) -> None:
        with suppress(OSError):
            while (piece := source.recv(65536)) and not (watch and self._is_cut(piece)):
                target.sendall(piece)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _is_cut(self, piece: bytes) -> bool:
        line = piece.partition(b"\r\n")[0].decode(errors="replace")
        with self._lock:
            for pattern, times in self.cuts.items():
                if times and re.match(pattern, line):
                    self.cuts[pattern] -= 1
                    return True
        return False


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    cuts = {"(PATCH|PUT) /v2/[^ ]*/blobs/uploads/": 2, "PUT /v2/[^ ]*/manifests/staging": 1}
    with Proxy(cuts | {"PUT /v2/[^ ]*/manifests/latest": 1}) as proxy:
        yield proxy


@pytest.fixture
def fork(engine: docker.DockerClient, tmp_path: Path, proxy: Proxy) -> Fork:
    """A fork whose layers are in the registry, except that of its code."""
    fork = make(tmp_path / "fork", f"127.0.0.1:5055/{new_name()}")
    fork.succeed("--until", "push")
    fork.to = f"{proxy.address}/{fork.model}"
    fork.commit("models/errors.py", f"{(fork.folder / 'models/errors.py').read_text()}# {uuid.uuid4()}\n")
    return fork


def test_a_push_and_a_promotion_continue_after_cut_connections(fork: Fork, proxy: Proxy) -> None:
    digest = fork.succeed()
    assert fork.held() == fork.held(tag="staging") == digest
    assert not any(proxy.cuts.values()), proxy.cuts
    assert "cut off or refused; trying again" in fork.output
    assert [entry["result"] for entry in fork.entries() if entry["step"] == "push"] == ["ok", "ok"]
