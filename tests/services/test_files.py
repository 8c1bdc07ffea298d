"""The local file server, tested with httpx and curl: TLS, validators, ranges, redirects, and each fault."""

import os
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.services.files import FileServer
from tests.services.http import Fault

CONTENT = bytes(range(256)) * 400
SIZE = len(CONTENT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep er").mkdir()
    (tmp_path / "deep er" / "notes.txt").write_text("notes")
    (tmp_path / "model.gguf").write_bytes(CONTENT)
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[FileServer]:
    with FileServer(folder) as server:
        yield server


@pytest.fixture
def client(server: FileServer) -> Iterator[httpx.Client]:
    trust = ssl.create_default_context(cafile=server.authority)
    with httpx.Client(base_url=server.url, verify=trust, timeout=5) as client:
        yield client


def wanted(**headers: str) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def test_a_file_has_an_etag_and_a_date(client: httpx.Client, server: FileServer) -> None:
    whole, head = client.get("/model.gguf"), client.head("/model.gguf")
    assert (whole.status_code, whole.content, head.content) == (200, CONTENT, b"")
    for name in ("ETag", "Last-Modified", "Accept-Ranges", "Content-Length"):
        assert whole.headers[name] == head.headers[name]
    assert client.get("/deep%20er/notes.txt").text == "notes"
    sent = [(request.host, request.method, request.status, request.bytes_sent) for request in server.requests[:2]]
    assert sent == [("files", "GET", 200, SIZE), ("files", "HEAD", 200, 0)]


def test_a_client_that_does_not_trust_the_authority_does_not_connect(server: FileServer) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{server.url}/model.gguf")
    assert server.requests == []


def test_the_certificate_is_valid_for_the_strictest_clients(server: FileServer) -> None:
    trust = ssl.create_default_context(cafile=server.authority)
    trust.verify_flags |= ssl.VERIFY_X509_STRICT
    assert httpx.head(f"{server.url}/model.gguf", verify=trust).status_code == 200


def test_the_variable_ssl_cert_file_is_enough(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
    assert httpx.get(f"{server.url}/model.gguf").content == CONTENT


@pytest.mark.parametrize("path", ["/missing", "/", "/deep%20er", "/..%2F..%2Fetc%2Fpasswd"])
def test_a_path_outside_the_folder_is_not_found(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_wrong_method_is_refused(client: httpx.Client) -> None:
    assert client.post("/model.gguf", content=b"x").status_code == 405


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-99", 0, 99),
        ("bytes=1000-", 1000, SIZE - 1),
        ("bytes=-5", SIZE - 5, SIZE - 1),
        ("bytes=9-999999", 9, SIZE - 1),
    ],
)
def test_a_range(client: httpx.Client, asked: str, first: int, last: int) -> None:
    part = client.get("/model.gguf", headers=wanted(Range=asked))
    assert (part.status_code, part.content) == (206, CONTENT[first : last + 1])
    assert part.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", "bytes=-0"])
def test_a_range_outside_the_file(client: httpx.Client, asked: str) -> None:
    answer = client.get("/model.gguf", headers=wanted(Range=asked))
    assert (answer.status_code, answer.content) == (416, b"")
    assert answer.headers["Content-Range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize("asked", ["lines=1-2", "bytes=5-1", "bytes=0-1,5-6", "bytes=-"])
def test_a_server_may_ignore_a_range(client: httpx.Client, asked: str) -> None:
    assert client.get("/model.gguf", headers=wanted(Range=asked)).status_code == 200


@pytest.mark.parametrize("validator", ["ETag", "Last-Modified"])
def test_a_range_is_served_only_if_the_file_is_unchanged(client: httpx.Client, folder: Path, validator: str) -> None:
    known = client.head("/model.gguf").headers[validator]
    asked = wanted(Range="bytes=10-", If_Range=known)
    assert client.get("/model.gguf", headers=asked).status_code == 206
    (folder / "model.gguf").write_bytes(CONTENT[::-1])
    later = time.time() + 10
    os.utime(folder / "model.gguf", (later, later))
    changed = client.get("/model.gguf", headers=asked)
    assert (changed.status_code, changed.content) == (200, CONTENT[::-1])


def test_a_known_etag_needs_no_body(client: httpx.Client) -> None:
    known = client.head("/model.gguf").headers["ETag"]
    answer = client.get("/model.gguf", headers=wanted(If_None_Match=known))
    assert (answer.status_code, answer.content) == (304, b"")


def test_redirects_go_to_paths_and_to_other_servers(server: FileServer, client: httpx.Client, folder: Path) -> None:
    with FileServer(folder, tls=False) as other:
        server.redirects |= {"/old": "/model.gguf", "/away": f"{other.url}/model.gguf"}
        for path in server.redirects:
            assert client.get(path, follow_redirects=True).content == CONTENT
        assert [request.path for request in other.requests] == ["/model.gguf"]


def test_a_server_without_ranges_sends_the_whole_file(server: FileServer, client: httpx.Client) -> None:
    server.ranges = False
    answer = client.get("/model.gguf", headers=wanted(Range="bytes=10-"))
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert "Accept-Ranges" not in answer.headers


def test_a_server_that_does_not_know_the_length_sends_chunks(server: FileServer, client: httpx.Client) -> None:
    server.length = False
    answer = client.get("/model.gguf")
    assert (answer.headers["Transfer-Encoding"], answer.content) == ("chunked", CONTENT)
    assert "Content-Length" not in answer.headers
    assert server.requests[-1].bytes_sent == SIZE


@pytest.mark.parametrize("length", [True, False])
def test_a_cut_ends_the_connection_early(server: FileServer, client: httpx.Client, length: bool) -> None:
    server.length = length
    server.faults.append(Fault("model", "cut", after=1000))
    got: list[bytes] = []
    with client.stream("GET", "/model.gguf") as answer, pytest.raises(httpx.RemoteProtocolError):
        got.extend(answer.iter_raw())
    assert b"".join(got) == CONTENT[:1000]
    assert server.requests[-1].bytes_sent == 1000
    assert client.get("/model.gguf").content == CONTENT


def test_a_corrupt_body_has_the_right_length(server: FileServer, client: httpx.Client) -> None:
    server.faults.append(Fault("model", "corrupt"))
    part = client.get("/model.gguf", headers=wanted(Range="bytes=100-199"))
    assert (part.status_code, len(part.content)) == (206, 100)
    assert sum(ours != theirs for ours, theirs in zip(part.content, CONTENT[100:200], strict=True)) == 1


def test_a_stall_sends_no_more_and_ends_with_the_server(server: FileServer, client: httpx.Client) -> None:
    server.faults.append(Fault("model", "stall", after=1000, times=2))
    with pytest.raises(httpx.ReadTimeout):
        client.get("/model.gguf", timeout=0.3)
    assert server.requests[-1].bytes_sent == 1000
    threading.Timer(0.2, server.stop).start()
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        client.get("/model.gguf")


def test_a_slow_body_takes_its_time(server: FileServer, client: httpx.Client) -> None:
    server.faults.append(Fault("model", "slow", rate=SIZE * 2))
    began = time.monotonic()
    assert client.get("/model.gguf").content == CONTENT
    assert time.monotonic() - began > 0.4


def test_a_status_is_returned_as_often_and_only_where_configured(server: FileServer, client: httpx.Client) -> None:
    server.faults.append(
        Fault("model", "status", status=429, headers={"Retry-After": "1"}, times=2, method="GET", host="files")
    )
    assert client.head("/model.gguf").status_code == 200
    assert client.get("/deep%20er/notes.txt").status_code == 200
    for _ in range(2):
        answer = client.get("/model.gguf")
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    assert client.get("/model.gguf").content == CONTENT


def test_an_aborted_download_counts_the_bytes_that_were_sent(folder: Path) -> None:
    large = folder / "large.bin"
    large.write_bytes(bytes(50_000_000))
    with FileServer(folder, tls=False) as server:
        with httpx.stream("GET", f"{server.url}/large.bin") as answer:
            next(answer.iter_raw())
        assert 0 < server.requests[-1].bytes_sent < 50_000_000


@pytest.mark.skipif(not shutil.which("curl"), reason="needs the command curl")
def test_curl_resumes(server: FileServer, tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.write_bytes(CONTENT[:5000])
    command = ["curl", "-sS", "--cacert", str(server.authority), "-C", "-", "-o", str(part), f"{server.url}/model.gguf"]
    subprocess.run(command, check=True, timeout=20)
    assert part.read_bytes() == CONTENT
    assert [(request.range, request.bytes_sent) for request in server.requests] == [("bytes=5000-", SIZE - 5000)]


def test_nothing_is_left_behind(folder: Path) -> None:
    before = threading.active_count()
    with FileServer(folder) as server, httpx.Client(verify=False) as client:
        client.get(f"{server.url}/model.gguf")
        authority = server.authority
        assert threading.active_count() > before
        server.stop()
        assert threading.active_count() == before
    assert not authority.parent.exists()
