"""The local Hub, tested with huggingface_hub: what it lists, serves and refuses, and how its faults appear."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_download, hf_hub_url, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.services.http import Fault
from tests.services.hub import Hub

NAME = "org/name"
PIECE = constants.DOWNLOAD_CHUNK_SIZE
WEIGHTS = os.urandom(300_000)
CONFIG = b'{"model_type": "llama"}'
FILES = {"config.json": CONFIG, "model.safetensors": WEIGHTS, "onnx/fp16/notes.txt": b"notes", "empty.txt": b""}
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
CONFIG_OID = hashlib.sha1(b"blob %d\0" % len(CONFIG) + CONFIG).hexdigest()


@pytest.fixture(autouse=True)
def _no_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Telemetry would request a list of agents from the real Hub, once per process."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        hub.tokens["hf_known"] = "someone"
        yield hub


@pytest.fixture
def commit(hub: Hub) -> str:
    return hub.add(NAME, FILES)


def api(hub: Hub, token: str | bool = False) -> HfApi:
    return HfApi(endpoint=hub.endpoint, token=token)


def download(hub: Hub, folder: Path, file: str, revision: str = "main", token: str | bool = False) -> Path:
    return Path(hf_hub_download(NAME, file, revision=revision, cache_dir=folder, endpoint=hub.endpoint, token=token))


def address(hub: Hub, file: str, revision: str = "main") -> str:
    return hf_hub_url(NAME, file, revision=revision, endpoint=hub.endpoint)


def signed_url(hub: Hub) -> str:
    return httpx.head(address(hub, "model.safetensors")).headers["Location"]


def test_a_repository_lists_its_commit_and_its_files(hub: Hub, commit: str) -> None:
    info = api(hub).model_info(NAME, files_metadata=True)
    assert (info.sha, info.private, info.gated) == (commit, False, False)
    files = {sibling.rfilename: sibling for sibling in info.siblings or []}
    assert sorted(files) == sorted(FILES)
    assert files["model.safetensors"].lfs == {"sha256": SHA256, "size": len(WEIGHTS), "pointer_size": 131}
    assert (files["config.json"].lfs, files["config.json"].blob_id) == (None, CONFIG_OID)
    assert all(sibling.size is None for sibling in api(hub).model_info(NAME).siblings or [])


def test_the_tree_is_paginated_and_can_be_listed_by_folder(hub: Hub, commit: str) -> None:
    hub.page_size = 2
    assert sorted(api(hub).list_repo_files(NAME)) == sorted(FILES)
    assert len([request for request in hub.requests if "/tree/" in request.path]) == 3
    assert [item.path for item in api(hub).list_repo_tree(NAME, "onnx")] == ["onnx/fp16"]
    with pytest.raises(RemoteEntryNotFoundError):
        list(api(hub).list_repo_tree(NAME, "nowhere"))


def test_a_new_commit_moves_the_branch_and_keeps_the_old_one(hub: Hub, commit: str, tmp_path: Path) -> None:
    hub.tag(NAME, "v1.0", commit)
    newer = hub.add(NAME, {"config.json": b"{}"})
    draft = hub.add(NAME, {"config.json": b"draft"}, revision="refs/pr/1")
    revisions = {"main": newer, "v1.0": commit, commit: commit, commit[:7]: commit, "refs/pr/1": draft}
    assert {name: api(hub).model_info(NAME, revision=name).sha for name in revisions} == revisions
    assert download(hub, tmp_path, "config.json").read_bytes() == b"{}"
    assert download(hub, tmp_path, "config.json", "v1.0").read_bytes() == CONFIG
    assert download(hub, tmp_path, "config.json", "refs/pr/1").read_bytes() == b"draft"


def test_the_client_gets_the_metadata_of_an_lfs_file(hub: Hub, commit: str) -> None:
    metadata = get_hf_file_metadata(address(hub, "model.safetensors"), token=False)
    assert (metadata.commit_hash, metadata.etag, metadata.size) == (commit, SHA256, len(WEIGHTS))
    assert metadata.location.startswith(f"{hub.cdn}/")
    assert metadata.xet_file_data is None


def test_the_client_gets_the_metadata_of_a_small_file(hub: Hub, commit: str) -> None:
    metadata = get_hf_file_metadata(address(hub, "config.json"), token=False)
    assert (metadata.commit_hash, metadata.etag, metadata.size) == (commit, CONFIG_OID, len(CONFIG))
    assert urlsplit(metadata.location).path == f"/api/resolve-cache/models/{NAME}/{commit}/config.json"
    assert [request.status for request in hub.requests] == [307, 200]


def test_xet_is_offered_only_if_a_test_enables_it(hub: Hub, commit: str) -> None:
    hub.xet = True
    metadata = get_hf_file_metadata(address(hub, "model.safetensors"), token=False, endpoint=hub.endpoint)
    assert metadata.xet_file_data
    assert httpx.get(metadata.location).content == WEIGHTS


def test_a_snapshot_has_every_file_and_a_second_one_downloads_none(hub: Hub, commit: str, tmp_path: Path) -> None:
    folder = Path(snapshot_download(NAME, cache_dir=tmp_path, endpoint=hub.endpoint, token=False))
    assert {file: (folder / file).read_bytes() for file in FILES} == FILES
    assert sum(request.bytes_sent for request in hub.requests if request.host == "cdn") == len(WEIGHTS)
    before = len(hub.requests)
    snapshot_download(NAME, revision=commit, cache_dir=tmp_path, endpoint=hub.endpoint, token=False)
    assert len(hub.requests) == before


@pytest.mark.parametrize("kind", ["gated", "private"])
def test_a_token_opens_a_private_repository_and_is_never_sent_to_the_cdn(hub: Hub, kind: str, tmp_path: Path) -> None:
    hub.add(NAME, FILES, gated=kind == "gated", private=kind == "private")
    hub.allow(NAME, "hf_reader")
    for file in FILES:
        assert download(hub, tmp_path, file, token="hf_reader").read_bytes() == FILES[file]
    api(hub, "hf_reader").auth_check(NAME)
    assert {request.authorization for request in hub.requests if request.host == "hub"} == {"Bearer hf_reader"}
    assert [request.authorization for request in hub.requests if request.host == "cdn"] == [None]
    assert hub.leaks == []


@pytest.mark.parametrize("header", [{"Authorization": "Bearer hf_known"}, {"Cookie": "token=hf_known"}])
def test_credentials_that_reach_the_cdn_are_refused_and_recorded(hub: Hub, commit: str, header: dict[str, str]) -> None:
    assert httpx.get(signed_url(hub), headers=header).status_code == 400
    assert [request.host for request in hub.leaks] == ["cdn"]


@pytest.mark.parametrize(
    ("token", "status", "message"),
    [
        (False, 401, f"Access to model {NAME} is restricted. You must have access to it and be authenticated"),
        ("hf_known", 403, f"not in the authorized list. Visit https://huggingface.co/{NAME} to ask for access"),
    ],
)
def test_a_gated_repository_shows_its_files_and_says_how_to_get_them(
    hub: Hub, token: str | bool, status: int, message: str, tmp_path: Path
) -> None:
    hub.add(NAME, FILES, gated=True)
    assert sorted(api(hub, token).list_repo_files(NAME)) == sorted(FILES)
    for refused in (
        lambda: download(hub, tmp_path, "config.json", token=token),
        lambda: download(hub, tmp_path, "model.safetensors", token=token),
        lambda: api(hub, token).auth_check(NAME),
    ):
        with pytest.raises(GatedRepoError, match=message) as caught:
            refused()
        assert caught.value.response.status_code == status


@pytest.mark.parametrize(("token", "status"), [(False, 401), ("hf_known", 404)])
@pytest.mark.parametrize("name", [NAME, "org/missing"])
def test_a_private_repository_looks_like_a_missing_one(hub: Hub, name: str, token: str | bool, status: int) -> None:
    hub.add(NAME, FILES, private=True)
    for refused in (api(hub, token).model_info, api(hub, token).list_repo_files, api(hub, token).auth_check):
        with pytest.raises(RepositoryNotFoundError) as caught:
            refused(name)
        assert not isinstance(caught.value, GatedRepoError)
        assert caught.value.response.status_code == status


def test_an_unknown_token_is_refused_everywhere(hub: Hub, commit: str, tmp_path: Path) -> None:
    for refused in (
        lambda: api(hub, "hf_wrong").model_info(NAME),
        lambda: api(hub, "hf_wrong").whoami(),
        lambda: download(hub, tmp_path, "config.json", token="hf_wrong"),
    ):
        with pytest.raises(HfHubHTTPError, match="Invalid") as caught:
            refused()
        assert (type(caught.value), caught.value.response.status_code) == (HfHubHTTPError, 401)
    assert api(hub, "hf_known").whoami()["name"] == "someone"


def test_a_missing_repository_or_file_is_named(hub: Hub, commit: str, tmp_path: Path) -> None:
    with pytest.raises(RevisionNotFoundError, match="Invalid rev id: v9"):
        api(hub).model_info(NAME, revision="v9")
    with pytest.raises(RevisionNotFoundError, match="Invalid rev id: v9"):
        download(hub, tmp_path, "config.json", "v9")
    with pytest.raises(RemoteEntryNotFoundError, match="Entry Not Found") as caught:
        download(hub, tmp_path, "missing.json")
    assert caught.value.response.headers["X-Repo-Commit"] == commit
    assert "Request ID: Root=1-" in str(caught.value)


def test_unknown_routes_and_wrong_methods(hub: Hub, commit: str) -> None:
    assert httpx.get(f"{hub.endpoint}/api/datasets/{NAME}").status_code == 404
    assert httpx.get(f"{hub.endpoint}/api/models/{NAME}/surprise").status_code == 404
    answer = httpx.delete(f"{hub.endpoint}/api/models/{NAME}")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_part_of_a_file(hub: Hub, commit: str, file: str) -> None:
    with httpx.Client(follow_redirects=True) as client:
        answer = client.get(address(hub, file), headers={"Range": "bytes=5-"})
        outside = client.get(address(hub, file), headers={"Range": f"bytes={len(FILES[file])}-"})
    assert (answer.status_code, answer.content) == (206, FILES[file][5:])
    assert answer.headers["Content-Range"] == f"bytes 5-{len(FILES[file]) - 1}/{len(FILES[file])}"
    assert (outside.status_code, outside.headers["Content-Range"]) == (416, f"bytes */{len(FILES[file])}")


def test_a_signed_url_expires_and_cannot_be_changed(hub: Hub, commit: str) -> None:
    url = signed_url(hub)
    assert httpx.get(url).content == WEIGHTS
    assert httpx.get(url.replace("Expires=", "Expires=9")).status_code == 403
    hub.expire_urls()
    assert httpx.get(url).status_code == 403
    hub.url_seconds = -1
    assert httpx.get(signed_url(hub)).status_code == 403


def test_the_client_resumes_after_a_cut(hub: Hub, tmp_path: Path) -> None:
    hub.add(NAME, {"model.safetensors": bytes(3 * PIECE)})
    hub.faults.append(Fault("model.safetensors", "cut", host="cdn", after=2 * PIECE))
    assert download(hub, tmp_path, "model.safetensors").read_bytes() == bytes(3 * PIECE)
    sent = [(request.range, request.bytes_sent) for request in hub.requests if request.host == "cdn"]
    assert sent == [
        (None, 2 * PIECE),
        (f"bytes={2 * PIECE}-", PIECE),
    ]


def test_the_client_waits_after_too_many_requests(hub: Hub, commit: str, tmp_path: Path) -> None:
    hub.faults.append(Fault("model.safetensors", "status", host="cdn", status=429, headers={"Retry-After": "0"}))
    assert download(hub, tmp_path, "model.safetensors").read_bytes() == WEIGHTS
    assert [request.status for request in hub.requests] == [302, 429, 200]


def test_the_client_does_not_notice_wrong_bytes(hub: Hub, commit: str, tmp_path: Path) -> None:
    hub.faults.append(Fault("model.safetensors", "corrupt"))
    content = download(hub, tmp_path, "model.safetensors").read_bytes()
    assert len(content) == len(WEIGHTS)
    assert sum(ours != theirs for ours, theirs in zip(content, WEIGHTS, strict=True)) == 1


def test_an_expired_url_fails_the_client(hub: Hub, commit: str, tmp_path: Path) -> None:
    hub.faults.append(Fault("model.safetensors", "expired", host="cdn"))
    with pytest.raises(HfHubHTTPError, match="Request has expired"):
        download(hub, tmp_path, "model.safetensors")
    assert download(hub, tmp_path, "model.safetensors").read_bytes() == WEIGHTS


def test_a_fault_of_the_hub_itself(hub: Hub, commit: str) -> None:
    hub.faults.append(Fault("/api/models/", "status", status=500, times=2))
    for _ in range(2):
        with pytest.raises(HfHubHTTPError, match="500"):
            api(hub).model_info(NAME)
    assert api(hub).model_info(NAME).sha == commit


def test_a_file_on_the_disk_is_served_from_there(hub: Hub, tmp_path: Path) -> None:
    weights = tmp_path / "weights.gguf"
    weights.write_bytes(WEIGHTS * 10)
    hub.add(NAME, {"model.gguf": weights})
    assert download(hub, tmp_path, "model.gguf").read_bytes() == WEIGHTS * 10


def test_the_paths_of_a_commit_are_listed_one_by_one(hub: Hub, commit: str) -> None:
    file, folder = api(hub).get_paths_info(NAME, ["model.safetensors", "onnx", "none"], expand=True)
    assert (file.path, file.size, file.lfs.sha256) == ("model.safetensors", len(WEIGHTS), SHA256)
    assert (folder.path, file.last_commit.oid) == ("onnx", commit)
    assert httpx.get(f"{hub.endpoint}/api/models/{NAME}/paths-info/main").status_code == 405


def test_the_information_has_only_the_requested_fields(hub: Hub, commit: str) -> None:
    info = api(hub).model_info(NAME, revision="HEAD", expand=["sha", "likes"])
    assert (info.sha, info.likes, info.siblings, info.private) == (commit, 0, None, None)
    with pytest.raises(HfHubHTTPError, match='"expand" must not hold surprise'):
        api(hub).model_info(NAME, expand=["surprise"])


def test_a_file_is_served_as_git_stores_it(hub: Hub, commit: str) -> None:
    raw = f"{hub.endpoint}/{NAME}/raw/main"
    assert httpx.get(f"{raw}/config.json").content == CONFIG
    assert f"oid sha256:{SHA256}\n" in httpx.get(f"{raw}/model.safetensors").text
    assert httpx.head(f"{raw}/none.json").status_code == 404
