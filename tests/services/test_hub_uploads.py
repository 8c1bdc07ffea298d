"""Uploads to the local Hub with huggingface_hub: what it accepts, and what it refuses like the real one."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from huggingface_hub import (
    CommitInfo,
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    ModelCard,
    constants,
    hf_hub_download,
)
from huggingface_hub.errors import (
    BadRequestError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.services.http import Fault
from tests.services.hub import Hub

NAME = "acme/model"
WEIGHTS = os.urandom(300_000)
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
CARD = b"---\nlicense: apache-2.0\n---\n# A model\n"


@pytest.fixture(autouse=True)
def _by_lfs(monkeypatch: pytest.MonkeyPatch) -> None:
    """No telemetry, and no Xet, which the local Hub does not serve."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        hub.writer("hf_writer", "ada", "acme")
        hub.tokens["hf_reader"] = "someone"
        yield hub


@pytest.fixture
def api(hub: Hub) -> HfApi:
    """A client that may write, with a repository."""
    api = HfApi(endpoint=hub.endpoint, token="hf_writer")
    api.create_repo(NAME, private=True)
    return api


def upload(api: HfApi, files: dict[str, bytes], **options: Any) -> CommitInfo:
    operations = [CommitOperationAdd(path, content) for path, content in files.items()]
    return api.create_commit(NAME, operations, commit_message="Upload", **options)


def paths(hub: Hub, part: str) -> list[str]:
    return [request.method for request in hub.requests if part in request.path]


def test_a_new_repository_is_private_and_has_one_commit(hub: Hub, api: HfApi) -> None:
    assert api.list_repo_files(NAME) == [".gitattributes"]
    (first,) = api.list_repo_commits(NAME)
    assert (first.title, first.authors, api.model_info(NAME).private) == ("initial commit", ["system"], True)
    assert api.create_repo(NAME, exist_ok=True) == f"{hub.endpoint}/{NAME}"
    with pytest.raises(HfHubHTTPError, match="You already created this model repo") as caught:
        api.create_repo(NAME)
    assert caught.value.response.status_code == 409


def test_a_space_is_a_separate_repository(hub: Hub, api: HfApi) -> None:
    api.create_repo(NAME, repo_type="space", space_sdk="gradio")
    app = CommitOperationAdd("app.py", b"print()")
    api.create_commit(NAME, [app], commit_message="App", repo_type="space")
    assert api.list_repo_files(NAME, repo_type="space") == [".gitattributes", "app.py"]
    assert api.list_repo_files(NAME) == [".gitattributes"]


@pytest.mark.parametrize(
    ("token", "name", "status", "message"),
    [
        (False, NAME, 401, "Invalid username or password"),
        ("hf_wrong", NAME, 401, "Invalid credentials"),
        ("hf_reader", "someone/model", 403, "have the rights to create a model under the namespace"),
        ("hf_writer", "others/model", 403, 'under the namespace "others"'),
    ],
)
def test_creating_without_permission_is_refused(
    hub: Hub, token: str | bool, name: str, status: int, message: str
) -> None:
    with pytest.raises(HfHubHTTPError, match=message) as caught:
        HfApi(endpoint=hub.endpoint, token=token).create_repo(name)
    assert caught.value.response.status_code == status
    assert hub.repos == {}


def test_files_are_returned_unchanged(hub: Hub, api: HfApi, tmp_path: Path) -> None:
    picture = b"\x89PNG\0" + bytes(20)
    files = {"README.md": CARD, "model.safetensors": WEIGHTS, "a/picture.png": picture, "empty.txt": b""}
    made = upload(api, files)
    for path, content in files.items():
        options = {"cache_dir": tmp_path, "endpoint": hub.endpoint, "token": "hf_writer"}
        assert Path(hf_hub_download(NAME, path, **options)).read_bytes() == content
    large = [file for file in api.list_repo_tree(NAME, recursive=True) if getattr(file, "lfs", None)]
    assert sorted(file.path for file in large) == ["a/picture.png", "model.safetensors"]
    assert [made.oid, "Upload"] == [api.list_repo_commits(NAME)[0].commit_id, api.list_repo_commits(NAME)[0].title]
    assert paths(hub, "/info/lfs/verify") == ["POST", "POST"]
    assert hub.leaks == []


def test_a_small_file_is_in_the_commit_and_a_large_one_is_not(hub: Hub, api: HfApi) -> None:
    upload(api, {"config.json": b"{}", "model.safetensors": WEIGHTS})
    sent = next(request for request in hub.requests if request.path.endswith("/commit/main"))
    lines = [json.loads(line) for line in sent.content.splitlines()]
    assert [line["key"] for line in lines] == ["header", "file", "lfsFile"]
    assert (lines[2]["value"]["oid"], lines[2]["value"]["size"]) == (SHA256, len(WEIGHTS))


def test_a_large_file_is_uploaded_only_once(hub: Hub, api: HfApi) -> None:
    upload(api, {"model.safetensors": WEIGHTS})
    upload(api, {"copy.safetensors": WEIGHTS})
    assert len([request for request in hub.requests if request.method == "PUT"]) == 1
    before = api.model_info(NAME).sha
    assert upload(api, {"model.safetensors": WEIGHTS}).oid == before


def test_a_deleted_file_is_gone_and_a_missing_file_cannot_be_deleted(hub: Hub, api: HfApi) -> None:
    upload(api, {"a/one.txt": b"1", "a/two.txt": b"2", "b.txt": b"3"})
    gone = [CommitOperationDelete("a/", is_folder=True), CommitOperationDelete("b.txt")]
    api.create_commit(NAME, gone, commit_message="Delete")
    assert api.list_repo_files(NAME) == [".gitattributes"]
    with pytest.raises(RemoteEntryNotFoundError, match="A file with this name doesn't exist"):
        api.create_commit(NAME, [CommitOperationDelete("b.txt")], commit_message="Delete")


def test_a_commit_on_an_outdated_parent_is_refused(hub: Hub, api: HfApi) -> None:
    parent = upload(api, {"config.json": b"{}"}).oid
    upload(api, {"config.json": b"[]"}, parent_commit=parent)
    with pytest.raises(HfHubHTTPError, match="A commit has happened since") as caught:
        upload(api, {"config.json": b"1"}, parent_commit=parent)
    assert caught.value.response.status_code == 412
    assert [commit.title for commit in api.list_repo_commits(NAME)] == ["Upload", "Upload", "initial commit"]


def test_the_history_is_paginated(hub: Hub, api: HfApi) -> None:
    for number in range(4):
        upload(api, {"number.txt": str(number).encode()})
    hub.page_size = 2
    assert len(api.list_repo_commits(NAME)) == 5
    assert len(paths(hub, "/commits/main")) == 3


def test_a_commit_that_is_too_large_is_refused(hub: Hub, api: HfApi) -> None:
    hub.commit_limit = 1000
    with pytest.raises(HfHubHTTPError, match="Payload Too Large") as caught:
        upload(api, {"notes.txt": b"n" * 2000})
    assert caught.value.response.status_code == 413


@pytest.mark.parametrize(("token", "error"), [("hf_reader", RepositoryNotFoundError), ("hf_guest", HfHubHTTPError)])
def test_writing_without_permission_is_refused(hub: Hub, api: HfApi, token: str, error: type[HfHubHTTPError]) -> None:
    hub.allow(NAME, "hf_guest")
    with pytest.raises(error) as caught:
        upload(HfApi(endpoint=hub.endpoint, token=token), {"config.json": b"{}"})
    assert caught.value.response.status_code == (404 if token == "hf_reader" else 403)


def test_a_missing_branch_is_refused(hub: Hub, api: HfApi) -> None:
    with pytest.raises(RevisionNotFoundError):
        upload(api, {"config.json": b"{}"}, revision="draft")


@pytest.mark.parametrize(
    ("front", "message"),
    [
        (b"license: [", "YAML parse error"),
        (b"license: mine", "license"),
        (b"tags: [1]", "tags"),
        (b"language: [English]", "language"),
        (b"model-index: [{name: m}]", "model-index"),
    ],
)
def test_a_card_with_wrong_front_matter_is_refused(hub: Hub, api: HfApi, front: bytes, message: str) -> None:
    card = b"---\n" + front + b"\n---\n# A model\n"
    with pytest.raises(ValueError, match=message):
        upload(api, {"README.md": card})
    line = {"key": "file", "value": {"path": "README.md", "content": card.decode()}}
    with pytest.raises(BadRequestError, match="Invalid metadata"):
        raw_commit(api, line)


def test_a_card_can_be_validated_without_a_commit(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    ModelCard(CARD.decode()).validate()
    with pytest.raises(ValueError, match="license"):
        ModelCard("---\nlicense: mine\n---\n").validate()
    space = "---\nsdk: gradio\ncolorFrom: {}\n---\n"
    ModelCard(space.format("blue")).validate("space")
    with pytest.raises(ValueError, match="colorFrom"):
        ModelCard(space.format("mauve")).validate("space")
    with pytest.raises(ValueError, match="sdk"):
        ModelCard("# A space").validate("space")


def raw_commit(api: HfApi, *lines: dict[str, Any], kind: str = "application/x-ndjson") -> None:
    """Send a commit that no client would send."""
    from huggingface_hub.utils import get_session, hf_raise_for_status

    header = {"key": "header", "value": {"summary": "By hand"}}
    content = "\n".join(json.dumps(line) for line in (header, *lines)).encode()
    headers = {"Authorization": f"Bearer {api.token}", "Content-Type": kind}
    hf_raise_for_status(
        get_session().post(f"{api.endpoint}/api/models/{NAME}/commit/main", headers=headers, content=content)
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("lfsFile", {"path": "a.bin", "algo": "sha256", "oid": SHA256, "size": 5}, "file that does not exist"),
        ("file", {"path": "../a", "content": ""}, "Invalid path"),
        ("file", {"path": "a", "content": "?", "encoding": "base64"}, "Invalid base64"),
        ("file", {"path": "a", "content": "a\0b"}, "binary files"),
        ("rename", {"path": "a"}, "Unknown operation"),
    ],
)
def test_a_malformed_commit_is_refused(hub: Hub, api: HfApi, key: str, value: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequestError, match=message):
        raw_commit(api, {"key": key, "value": value})
    assert api.list_repo_files(NAME) == [".gitattributes"]


def test_a_commit_with_a_wrong_content_type_is_refused(hub: Hub, api: HfApi) -> None:
    with pytest.raises(HfHubHTTPError) as caught:
        raw_commit(api, kind="application/json")
    assert caught.value.response.status_code == 415


def batch(hub: Hub, oid: str, size: int) -> dict[str, Any]:
    """The response of the LFS batch for one object."""
    kind = "application/vnd.git-lfs+json"
    answer = httpx.post(
        f"{hub.endpoint}/{NAME}.git/info/lfs/objects/batch",
        headers={"Authorization": "Bearer hf_writer", "Accept": kind, "Content-Type": kind},
        json={"operation": "upload", "objects": [{"oid": oid, "size": size}]},
    )
    found: dict[str, Any] = answer.json()["objects"][0]
    return found


def test_bytes_with_another_sha256_are_refused(hub: Hub, api: HfApi) -> None:
    actions = batch(hub, SHA256, len(WEIGHTS))["actions"]
    assert httpx.put(actions["upload"]["href"], content=WEIGHTS[:-1]).status_code == 400
    assert httpx.get(actions["upload"]["href"]).status_code == 403  # it was signed for a PUT
    headers = {"Authorization": "Bearer hf_writer"}
    there = {"oid": SHA256, "size": len(WEIGHTS)}
    assert httpx.post(actions["verify"]["href"], headers=headers, json=there).status_code == 404
    assert httpx.put(actions["upload"]["href"], content=WEIGHTS).status_code == 200
    assert httpx.post(actions["verify"]["href"], headers=headers, json=there).status_code == 200
    assert "actions" not in batch(hub, SHA256, len(WEIGHTS))
    assert batch(hub, "no sha256", 1)["error"]["code"] == 422


def test_gated_and_private_are_settings(hub: Hub, api: HfApi) -> None:
    api.update_repo_settings(NAME, gated="auto", private=False)
    assert (api.model_info(NAME).gated, api.model_info(NAME).private) == ("auto", False)
    guest = HfApi(endpoint=hub.endpoint, token="hf_reader")
    with pytest.raises(HfHubHTTPError, match="not in the authorized list"):
        guest.auth_check(NAME)
    with pytest.raises(HfHubHTTPError, match="403"):
        guest.update_repo_settings(NAME, gated=False)


@pytest.mark.parametrize("kind", ["dead", "lost"])
def test_a_connection_is_cut_before_or_after_the_change(hub: Hub, api: HfApi, kind: Any) -> None:
    hub.faults.append(Fault("/commit/", kind))
    with pytest.raises(Exception, match=r"disconnected|reset|closed"):
        upload(api, {"config.json": b"{}"})
    assert ("config.json" in api.list_repo_files(NAME)) == (kind == "lost")


def test_the_client_waits_after_too_many_uploads(hub: Hub, api: HfApi, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", waits.append)
    hub.faults.append(Fault("/preupload/", "status", status=429, headers={"Retry-After": "7"}))
    upload(api, {"config.json": b"{}"})
    assert (waits, paths(hub, "/preupload/")) == ([8.0], ["POST", "POST"])
