"""The local Replicate's files, collections, search and streams, tested with its Python client and plain HTTP."""

import time
from collections.abc import Iterator
from urllib.parse import urlencode

import httpx
import pytest

from tests.schemas import cog
from tests.services.replicate_client import client_of, http_of, refused
from tests.services.replicate_files import signature
from tests.services.replicate_routes import Collection
from tests.services.scripted_replicate import ScriptedReplicate

CONTENT = bytes(range(256)) * 3 + b"\r\n--\r\n"


@pytest.fixture(scope="module")
def service() -> Iterator[ScriptedReplicate]:
    with ScriptedReplicate() as started:
        yield started


@pytest.fixture(scope="module")
def http(service: ScriptedReplicate) -> Iterator[httpx.Client]:
    with http_of(service) as client:
        yield client


def test_an_uploaded_file_is_returned_unchanged_listed_and_deleted(service: ScriptedReplicate, tmp_path) -> None:
    files = client_of(service).files
    (tmp_path / "a b.png").write_bytes(CONTENT)
    file = files.create(tmp_path / "a b.png", metadata={"a": 1})
    assert (file.name, file.content_type, file.size, file.metadata) == ("a b.png", "image/png", len(CONTENT), {"a": 1})
    assert service.files[file.id].content == CONTENT
    assert files.get(file.id) == files.list()[0] == file
    assert files.delete(file.id)
    assert refused(files.get, file.id).status == 404


def test_a_signed_url_needs_no_token_and_expires(service: ScriptedReplicate, http: httpx.Client) -> None:
    id = http.post("/files", files={"content": ("a", CONTENT)}).json()["id"]

    def download(expiry: int, owner: str = "acme", secret: str = service.files_secret) -> httpx.Response:
        query = {"owner": owner, "expiry": expiry, "signature": signature(secret, owner, id, str(expiry))}
        return httpx.get(f"{service.base_url}/files/{id}/download?{urlencode(query)}")

    soon = int(time.time()) + 60
    assert download(soon).content == CONTENT
    refusals = [download(1), download(soon, secret="other"), download(soon, owner="other")]
    assert [answer.status_code for answer in refusals] == [403, 403, 404]


def test_a_wrong_upload_is_refused_by_name(service: ScriptedReplicate, http: httpx.Client) -> None:
    assert http.post("/files", json={}).status_code == 415
    for form, field in (
        ({"files": {"other": ("a", b"")}}, "content"),
        ({"files": {"content": ("a" * 256, b"")}}, "filename"),
        ({"files": {"content": ("a", b"")}, "data": {"metadata": "[]"}}, "metadata"),
    ):
        answer = http.post("/files", **form)
        assert (answer.status_code, answer.json()["invalid_fields"][0]["field"]) == (422, field)
    other = {"Authorization": f"Bearer {service.add_account('other')}"}
    id = http.post("/files", files={"content": ("a", b"")}).json()["id"]
    assert http.get(f"/files/{id}", headers=other).status_code == 404
    assert httpx.get(f"{service.base_url}/files").status_code == 401


def test_collections_and_search_hold_public_models_only(service: ScriptedReplicate, http: httpx.Client) -> None:
    for name, visibility in (("acme/writer", "public"), ("acme/secret-writer", "private")):
        service.add_model(name, cog({}), visibility=visibility)
    service.collections["text"] = Collection("text", "Text", "Writers", list(service.models))
    client = client_of(service)
    assert [collection.slug for collection in client.collections.list()] == ["text"]
    assert [model.name for model in client.collections.get("text")] == ["writer"]
    assert [model.name for model in client.models.search("acme writer").results] == ["writer"]
    assert client.models.search("acme painter").results == []
    assert http.request("QUERY", "/models", json="writer").status_code == 415


def test_a_stream_is_read_only_from_its_own_url(service: ScriptedReplicate) -> None:
    answer = httpx.get(f"{service.address}/streaming/v1/streams/guess")
    assert (answer.status_code, answer.json()["title"]) == (404, "Not found")
