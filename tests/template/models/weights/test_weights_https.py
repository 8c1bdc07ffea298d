"""Weights from a plain https server, through commands: a file, tars, and servers that are limited or change."""

import json
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.files import FileServer
from tests.services.http import Fault
from tests.services.http_messages import Request, Response
from tests.template.models.weights.project import Project, gguf, safetensors

WEIGHTS = safetensors(2_500_000)
FILES = {"config.json": b"{}", "model.safetensors": WEIGHTS}
GGUF = gguf(300_000)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    folder = tmp_path / "www"
    folder.mkdir()
    (folder / "model.gguf").write_bytes(GGUF)
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    (tmp_path / "files").mkdir()
    for name, content in FILES.items():
        (tmp_path / "files" / name).write_bytes(content)
    with FileServer(folder) as server:
        yield server


@pytest.fixture
def project(server: FileServer, tmp_path: Path) -> Project:
    project = Project(tmp_path / "project", SSL_CERT_FILE=str(server.authority))
    project.settings["models.weights.parts.CHUNK"] = 1_000_000
    project.model(f"{server.url}/model.safetensors")
    return project


def fetched(project: Project) -> dict[str, bytes]:
    """The files that `make weights` downloads, before it finds that no engine runs files without a configuration."""
    project.run("weights")
    return project.files


def pack(server: FileServer, tmp_path: Path, name: str, top: str = "") -> str:
    mode = {"gz": "w:gz", "tgz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}.get(name.rpartition(".")[2], "w")
    with tarfile.open(server.folder / name, mode) as tar:  # type: ignore[call-overload]
        tar.add(tmp_path / "files", arcname=top or ".")
    return f"{server.url}/{name}"


def downloads(server: FileServer) -> list[str | None]:
    return [request.range for request in server.requests if request.range != "bytes=0-0"]


def test_a_file_is_locked_by_its_hash_and_downloaded_once(server: FileServer, project: Project) -> None:
    project.does("weights_lock")
    assert project.locked()["resolved"] == f"{server.url}/model.safetensors"
    assert len(downloads(server)) == 3
    assert fetched(project) == {"model.safetensors": WEIGHTS}
    assert len(downloads(server)) == 3


@pytest.mark.parametrize(
    ("name", "top"),
    [
        ("model.tar", ""),
        ("model.tar", "top"),
        ("model.tar.gz", ""),
        ("model.tgz", "top"),
        ("model.tar.bz2", ""),
        ("model.tar.xz", "top"),
    ],
)
def test_a_tar_may_have_a_top_folder(server: FileServer, project: Project, tmp_path: Path, name: str, top: str) -> None:
    small = safetensors(20_000)  # as some compressions are slow
    (tmp_path / "files" / "model.safetensors").write_bytes(small)
    project.model(pack(server, tmp_path, name, top))
    project.does("weights_lock")
    assert list(project.locked()["files"]) == sorted(FILES)
    assert project.locked()["archive"]["size"] == (server.folder / name).stat().st_size
    project.does("weights")
    assert project.files == FILES | {"model.safetensors": small}


@pytest.mark.parametrize("key", ["size", "sha256"])
def test_a_lock_that_disagrees_with_its_tar_is_refused(
    server: FileServer, project: Project, tmp_path: Path, key: str
) -> None:
    project.model(pack(server, tmp_path, "model.tar.gz"))
    project.does("weights_lock")
    lock = project.locked()
    lock["files"]["config.json"][key] = 3 if key == "size" else "0" * 64
    project.lock.write_text(json.dumps(lock))
    message = project.refuses("weights")
    assert "config.json" in message
    assert message.endswith("make weights-lock")
    assert project.files == {}
    project.does("weights_lock")
    project.does("weights")
    assert project.files == FILES


def test_a_tar_needs_room_for_itself_and_its_files(server: FileServer, project: Project, tmp_path: Path) -> None:
    project.model(pack(server, tmp_path, "model.tar.gz"))
    project.does("weights_lock")
    lock = project.locked()
    lock["files"]["config.json"]["size"] = 10**15
    project.lock.write_text(json.dumps(lock))
    before = len(downloads(server))
    assert "MB free, and 1000000003 MB are needed: free some disk" in project.refuses("weights")
    assert len(downloads(server)) == before


def test_without_ranges_the_whole_file_is_downloaded_again(server: FileServer, project: Project) -> None:
    server.ranges = False
    server.faults.append(Fault("model", "cut", after=1_500_000, times=2))
    project.does("weights_lock")
    assert [request.bytes_sent for request in server.requests][-2:] == [1_500_000, len(WEIGHTS)]
    assert len(server.requests) == 3
    assert fetched(project) == {"model.safetensors": WEIGHTS}


def test_a_server_that_does_not_send_the_length_is_refused(server: FileServer, project: Project) -> None:
    server.ranges = server.length = False
    url = f"{server.url}/model.safetensors"
    message = project.refuses("weights_lock")
    assert message == f"{url} does not say how large it is: put the file where a server says so (Content-Length)"


def test_a_redirect_to_another_host_is_followed(server: FileServer, project: Project, tmp_path: Path) -> None:
    with FileServer(server.folder) as other:
        both = tmp_path / "both.pem"
        both.write_text(server.authority.read_text() + other.authority.read_text())
        server.redirects["/latest/model.safetensors"] = f"{other.url}/model.safetensors"
        project.model(f"{server.url}/latest/model.safetensors")
        project.does("weights_lock", SSL_CERT_FILE=str(both))
        project.run("weights", SSL_CERT_FILE=str(both))
        assert project.files == {"model.safetensors": WEIGHTS}
        assert sum(request.bytes_sent for request in other.requests) >= len(WEIGHTS)


def test_a_size_that_differs_from_the_lock_is_refused_before_any_byte(server: FileServer, project: Project) -> None:
    project.does("weights_lock", "--dry-run")
    project.does("weights_lock")
    empty_handed(project)
    (server.folder / "model.safetensors").write_bytes(WEIGHTS + b"more")
    before = len(downloads(server))
    message = project.refuses("weights")
    size = len(WEIGHTS)
    assert f"model.safetensors has {size + 4} bytes, locked were {size}: make weights-lock" in message
    assert len(downloads(server)) == before


def test_other_bytes_of_the_same_size_are_refused(server: FileServer, project: Project) -> None:
    project.does("weights_lock")
    empty_handed(project)
    (server.folder / "model.safetensors").write_bytes(WEIGHTS[:-1] + bytes([WEIGHTS[-1] ^ 1]))
    message = project.refuses("weights")
    assert "model.safetensors came with sha256 " in message
    assert "if the source has changed: make weights-lock" in message
    assert project.files == {}


@pytest.mark.slow
def test_a_file_that_changes_while_it_is_locked_is_not_mixed(
    server: FileServer, project: Project, tmp_path: Path
) -> None:
    project.settings["models.weights.parts.CHUNK"] = 550_000
    server.faults.append(Fault("model", "slow", rate=300_000, times=99))
    running = project.start("weights_lock")
    while len(downloads(server)) < 4:
        assert running.poll() is None
        time.sleep(0.01)
    (tmp_path / "newer").write_bytes(WEIGHTS[::-1])
    (tmp_path / "newer").replace(server.folder / "model.safetensors")
    _, message = running.communicate(timeout=60)
    assert running.returncode == 1
    assert "model.safetensors changed while it was downloaded" in message.splitlines()[-1]
    assert not project.lock.exists()


def test_an_untrusted_certificate_is_reported_in_one_line(server: FileServer, project: Project) -> None:
    host = server.url.removeprefix("https://")
    message = project.refuses("weights_lock", SSL_CERT_FILE="")
    assert message == (
        f"{host} shows a certificate that this machine does not trust: "
        "name the file of your authority's certificate in SSL_CERT_FILE"
    )


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("missing.safetensors", "answers 404: correct weights.source, or check that you have access to it"),
        ("model", "model is neither weights (.safetensors, .gguf) nor beside them"),
        ("model.bin", "model.bin is a pickle, which runs code when it is loaded: python -m scripts.to_safetensors"),
        ("model.tar.zst", "model.tar.zst is neither weights"),
        ("?file=model.gguf", "would leave the folder of the weights"),
    ],
)
def test_urls_without_weights_are_refused(server: FileServer, project: Project, path: str, says: str) -> None:
    project.model(f"{server.url}/{path}")
    assert says in project.refuses("weights_lock")


def test_a_url_may_have_spaces_and_a_query(server: FileServer, project: Project) -> None:
    (server.folder / "my model.safetensors").write_bytes(WEIGHTS)
    project.model(f"{server.url}/my%20model.safetensors?download=true")
    project.does("weights_lock")
    assert list(project.locked()["files"]) == ["my model.safetensors"]
    assert fetched(project) == {"my model.safetensors": WEIGHTS}


@pytest.mark.parametrize("name", ["model.gguf", "model.safetensors"])
def test_a_web_page_named_like_weights_is_not_locked(server: FileServer, project: Project, name: str) -> None:
    (server.folder / name).write_bytes(b"<!doctype html><title>Please log in</title>" + b" " * 999)
    project.model(f"{server.url}/{name}")
    kind = "is not a GGUF file" if name.endswith("gguf") else "has no safetensors header"
    assert f"{name} {kind}: take the weights from another source" in project.refuses("weights_lock")
    assert not project.lock.exists()


def test_locking_present_weights_again_leaves_no_second_copy(server: FileServer, project: Project) -> None:
    project.does("weights_lock")
    fetched(project)
    ran = project.does("weights_lock")
    assert ran.stdout.startswith(f"{server.url}/model.safetensors: 1 file, 2.5 MB")
    assert sorted(path.name for path in project.weights.iterdir()) == [".lock", ".source.json", "source"]


def empty_handed(project: Project) -> None:
    """Remove the files that the lock had to download."""
    for path in (project.weights / ".source").rglob("*"):
        path.unlink()


def test_a_server_that_compresses_weights_is_refused_by_name(server: FileServer, project: Project) -> None:
    server.faults.append(Fault("model.safetensors", "gzip", times=100))
    message = project.refuses("weights_lock")
    assert message.endswith("is sent compressed (gzip), though requested uncompressed: take it from another server")


def test_a_tar_gz_sent_with_the_encoding_gzip_is_not_decompressed_twice(
    server: FileServer, project: Project, tmp_path: Path
) -> None:
    """As Apache sends it (mod_mime's AddEncoding x-gzip .gz): the bytes are the file's own."""
    project.model(pack(server, tmp_path, "model.tar.gz"))
    answer = server._servers[0].respond

    def encoded(request: Request) -> Response:
        response = answer(request)
        response.headers["Content-Encoding"] = "x-gzip"
        return response

    server._servers[0].respond = encoded
    project.does("weights_lock")
    assert fetched(project) == FILES
