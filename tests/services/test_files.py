"""The local file server counts the bytes that it sends, and a fault changes one bit: tests of weights rely on both."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.services.files import FileServer
from tests.services.http import Fault

CONTENT = bytes(range(256)) * 400


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    with FileServer(tmp_path, tls=False) as server:
        yield server


def test_a_corrupt_body_has_the_right_length(server: FileServer) -> None:
    (server.folder / "model.gguf").write_bytes(CONTENT)
    server.faults.append(Fault("model", "corrupt"))
    part = httpx.get(f"{server.url}/model.gguf", headers={"Range": "bytes=100-199"})
    assert (part.status_code, len(part.content)) == (206, 100)
    assert sum(ours != theirs for ours, theirs in zip(part.content, CONTENT[100:200], strict=True)) == 1


def test_an_aborted_download_counts_the_bytes_that_were_sent(server: FileServer) -> None:
    (server.folder / "large.bin").write_bytes(bytes(50_000_000))
    with httpx.stream("GET", f"{server.url}/large.bin") as answer:
        next(answer.iter_raw())
    assert 0 < server.requests[-1].bytes_sent < 50_000_000
