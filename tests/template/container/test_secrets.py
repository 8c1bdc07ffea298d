"""No token gets into an image, even if it is built with tokens in the environment and in .env.

Every byte of the saved image is searched: the names and files of each layer, the configuration, labels and history.
"""

import gzip
import io
import secrets
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import docker
import pytest

BLOCK = 1 << 20
TOKENS = {"HF_TOKEN": f"hf_{secrets.token_hex(16)}", "REPLICATE_API_TOKEN": f"r8_{secrets.token_hex(16)}"}
TOKEN = TOKENS["HF_TOKEN"]


class Chunks(io.RawIOBase):
    """Chunks of bytes as a file that can be read once, from its beginning."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def found_in_stream(stream: IO[bytes]) -> set[str]:
    """The names of the TOKENS that occur in a stream; its blocks are searched with an overlap."""
    overlap = max(map(len, TOKENS.values())) - 1
    found, tail = set(), b""
    while block := stream.read(BLOCK):
        window = tail + block
        found |= {name for name, token in TOKENS.items() if token.encode() in window}
        tail = window[-overlap:]
    return found


def found_in_archive(stream: IO[bytes]) -> set[str]:
    """The names of the TOKENS that occur in any member of an image's tar; gzipped members are decompressed.

    A layer is itself a tar, in which a file's name and its bytes are contiguous.
    """
    found = set()
    with tarfile.open(fileobj=stream, mode="r|", bufsize=BLOCK) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is None:
                continue
            packed = file.peek(2).startswith(b"\x1f\x8b")  # type: ignore[attr-defined]
            found |= found_in_stream(gzip.GzipFile(fileobj=file) if packed else file)  # type: ignore[arg-type]
    return found


def found_in_image(engine: docker.DockerClient, name: str) -> set[str]:
    saved = engine.images.get(name).save(chunk_size=BLOCK)
    return found_in_archive(io.BufferedReader(Chunks(saved), BLOCK))


def test_no_token_is_in_the_image(engine: docker.DockerClient, cluttered: str) -> None:
    assert found_in_image(engine, cluttered) == set()
    assert found_in_image(engine, f"{cluttered}-weights") == set()


@pytest.mark.parametrize("line", ["ENV LEFT={token}", "LABEL left={token}", "COPY file /", "COPY {token} /"])
def test_the_search_finds_a_token_in_an_image(engine: docker.DockerClient, line: str, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("an image without a layer cannot be saved")
    (tmp_path / "file").write_text(f"token = {TOKEN}")
    (tmp_path / TOKEN).write_text("a file named like it")
    (tmp_path / "Dockerfile").write_text(f"FROM scratch\nCOPY plain /\n{line.format(token=TOKEN)}\n")
    image, _ = engine.images.build(path=str(tmp_path), rm=True)
    try:
        assert found_in_image(engine, image.id) == {"HF_TOKEN"}
    finally:
        engine.images.remove(image.id, force=True)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
def test_the_search_finds_a_token_across_blocks(packed: bool) -> None:
    layer = b"." * (BLOCK - 10) + TOKEN.encode()
    content = gzip.compress(layer) if packed else layer
    member = tarfile.TarInfo("layer")
    member.size = len(content)
    saved = io.BytesIO()
    with tarfile.open(fileobj=saved, mode="w") as archive:
        archive.addfile(member, io.BytesIO(content))
    saved.seek(0)
    assert found_in_archive(saved) == {"HF_TOKEN"}
