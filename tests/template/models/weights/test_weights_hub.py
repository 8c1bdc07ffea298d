"""Weights from the Hub, through the real huggingface_hub: pinned to a commit, refused early."""

import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from models.weights import headers
from tests import tiny_models
from tests.services import hub as services_hub
from tests.services.http import Fault
from tests.services.hub import Hub
from tests.services.hub_repository import Blob, sibling
from tests.services.socks import socks_proxy
from tests.template.models.weights.hub_weights import (
    CHUNK,
    CONFIG,
    FILES,
    NAME,
    SHARDS,
    WANTED,
    bodies,
    on_the_hub,
    sent_by_cdn,
)
from tests.template.models.weights.project import CHECK, HEADER, SLUG, Project


@pytest.fixture
def project(hub: Hub, tmp_path: Path) -> Project:
    return on_the_hub(hub, tmp_path / "project")


def check_that_only_headers_came(hub: Hub) -> None:
    assert [request.range for request in sent_by_cdn(hub)] == [HEADER] * len(SHARDS)


def test_the_lock_pins_the_commit_and_each_file_and_only_these_are_used(hub: Hub, project: Project) -> None:
    commit = hub.add(NAME, FILES)
    project.does("weights_lock")
    lock = project.locked()
    assert (lock["source"], lock["resolved"]) == (f"hf://{NAME}@main", f"hf://{NAME}@{commit}")
    wanted = {name: {"sha256": hashlib.sha256(file).hexdigest(), "size": len(file)} for name, file in WANTED.items()}
    assert lock["files"] == wanted
    check_that_only_headers_came(hub)

    hub.add(NAME, {name: file[::-1] for name, file in FILES.items()})
    project.does("weights")
    assert project.files == WANTED
    assert sorted(path.name for path in project.weights.iterdir()) == [".lock", ".source.json", "source"]


def test_the_hub_and_its_files_are_reached_through_a_socks_proxy(hub: Hub, project: Project) -> None:
    hub.add(NAME, FILES)
    ports = {"hub.invalid": urlsplit(hub.endpoint).port, "cdn.invalid": urlsplit(hub.cdn).port}
    hub.endpoint, hub.cdn = "http://hub.invalid", "http://cdn.invalid"
    with socks_proxy(ports) as (proxy, asked):
        proxied = {"HF_ENDPOINT": hub.endpoint, "ALL_PROXY": f"socks5h://{proxy}"}
        project.does("weights_lock", **proxied)
        project.does("weights", **proxied)
    assert project.files == WANTED
    assert set(asked) == set(ports)


@pytest.mark.parametrize("revision", ["v1.0", "refs/pr/1", "commit", "short"])
def test_every_kind_of_revision_is_resolved(hub: Hub, project: Project, revision: str) -> None:
    branch = revision if revision.startswith("refs/") else "main"
    commit = hub.add(NAME, FILES, revision=branch)
    hub.tag(NAME, "v1.0", commit)
    named = {"commit": commit, "short": commit[:7]}.get(revision, revision)
    project.model(f"hf://{NAME}@{named}")
    project.does("weights_lock")
    assert project.locked()["resolved"] == f"hf://{NAME}@{commit}"
    project.does("weights")
    assert project.files == WANTED


def test_patterns_select_files_and_a_pattern_with_a_slash_selects_in_a_folder(hub: Hub, project: Project) -> None:
    hub.add(NAME, {**FILES, "fp16/model.safetensors": SHARDS["model-00001-of-00002.safetensors"]})
    project.model(f"hf://{NAME}@main", "fp16/*.safetensors", "onnx/*.json", "config.json")
    project.does("weights_lock")
    assert list(project.locked()["files"]) == ["config.json", "fp16/model.safetensors", "onnx/config.json"]
    project.does("weights")
    assert project.files["onnx/config.json"] == project.files["config.json"] == CONFIG


def test_a_file_is_downloaded_in_several_ranges_at_once(hub: Hub, project: Project) -> None:
    hub.add(NAME, FILES)
    hub.faults.append(Fault("safetensors", "slow", host="cdn", times=100, rate=1_000_000))
    project.does("weights_lock")
    project.does("weights")
    brought = [request for request in sent_by_cdn(hub) if request.range != HEADER]
    for name, content in SHARDS.items():
        begins = list(range(0, len(content), CHUNK))
        ranges = [request.range for request in brought if name in request.path]
        wanted = [f"bytes={begin}-{min(begin + CHUNK, len(content)) - 1}" for begin in begins]
        assert sorted(str(found) for found in ranges) == sorted(wanted)
    assert sum(request.bytes_sent for request in brought) == sum(len(content) for content in SHARDS.values())
    located = [request for request in hub.requests if "/resolve/" in request.path and "safetensors" in request.path]
    assert len(located) == 1 + 2 * len(SHARDS)  # one for the lock, then one per header and file, not one per range


def test_a_missing_repository_or_file_is_named_before_any_byte_is_downloaded(hub: Hub, project: Project) -> None:
    commit = hub.add(NAME, FILES)
    project.model(f"hf://{NAME}@v9")
    page = f"https://huggingface.co/{NAME}"
    message = project.refuses("weights_lock")
    assert message == f"{NAME} has no revision v9: see {page}/commits, correct weights.source"
    project.model(f"hf://{NAME}@main")
    project.does("weights_lock")
    before = len(bodies(hub))
    gone = list(SHARDS)[1]
    del hub.repos[NAME].commits[commit][gone]
    assert project.refuses("weights") == f"{NAME} has no {gone} at {commit}: make weights-lock"
    hub.repos[NAME].commits.clear()
    assert f"{NAME} has no revision {commit}" in project.refuses("weights")
    assert len(bodies(hub)) == before


@pytest.mark.slow
def test_a_request_to_a_busy_hub_is_repeated(hub: Hub, project: Project) -> None:
    hub.add(NAME, FILES)
    hub.faults.append(Fault("/api/models/", "status", status=429, headers={"Retry-After": "1"}))
    hub.faults.append(Fault("/api/models/", "status", status=500, times=2))
    hub.faults.append(Fault("/resolve/", "status", status=503))
    project.does("weights_lock")
    project.does("weights")
    assert project.files == WANTED


def test_an_unreachable_hub_is_reported_in_one_line(hub: Hub, project: Project) -> None:
    hub.add(NAME, FILES)
    project.does("weights_lock")
    message = project.refuses("weights_lock", HF_ENDPOINT="http://127.0.0.1:9")
    assert message.startswith(f"cannot reach the Hub for {NAME} (")
    assert "make weights tries again" in message


def test_names_outside_the_folder_are_refused(hub: Hub, project: Project) -> None:
    hub.add(NAME, {**WANTED, "../evil.json": b"{}"})
    project.model(f"hf://{NAME}@main", "*.safetensors", "../*.json")
    assert "'../evil.json' would leave the folder" in project.refuses("weights_lock")


def test_a_lock_with_a_name_outside_the_folder_is_refused(hub: Hub, project: Project) -> None:
    hub.add(NAME, FILES)
    project.does("weights_lock")
    lock = project.locked()
    for name in ("../evil.json", "/tmp/evil.json", "a/../../evil.json", "..\\evil.json", "evil.bin"):
        files = lock["files"] | {name: lock["files"]["config.json"]}
        project.lock.write_text(json.dumps(lock | {"files": files}))
        message = project.refuses("weights")
        assert "weights.lock is malformed: files: " in message, name
        assert message.endswith(f"mend it: make weights-lock MODEL={SLUG}"), name


def test_a_lock_that_pins_nothing_is_refused(hub: Hub, project: Project) -> None:
    hub.add(NAME, FILES)
    project.does("weights_lock")
    lock = project.locked()
    changes: list[dict[str, Any]] = [{"resolved": f"hf://{NAME}@main"}, {"resolved": f"hf://other/name@{'0' * 40}"}]
    for change in (*changes, {"files": {}}, {"surprise": 1}):
        project.lock.write_text(json.dumps(lock | change))
        message = project.refuses("weights")
        assert "weights.lock is malformed: " in message, change
        assert message.endswith(f"make weights-lock MODEL={SLUG}"), change


def test_a_lock_of_another_source_or_other_patterns_names_the_command(hub: Hub, project: Project) -> None:
    hub.add(NAME, FILES)
    project.does("weights_lock")
    for source, patterns in ((f"hf://{NAME}@v2", []), (f"hf://{NAME}@main", ["*.safetensors"])):
        project.model(source, *patterns)
        assert project.refuses("weights").endswith(f": make weights-lock MODEL={SLUG}")


def test_files_that_macos_leaves_in_a_repository_are_not_weights(hub: Hub, project: Project) -> None:
    hub.add(NAME, {**FILES, "._model.safetensors": b"\x00\x05\x16\x07", "._config.json": b"\x00\x05\x16\x07"})
    project.does("weights_lock")
    assert list(project.locked()["files"]) == sorted(WANTED)


@pytest.mark.parametrize("missing", ["size", "size and lfs", "size in lfs"])
def test_sizes_that_a_mirror_does_not_list_are_read_from_each_file_s_headers(
    hub: Hub, project: Project, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    def partly(path: str, blob: Blob, blobs: bool) -> dict[str, Any]:
        listed = sibling(path, blob, blobs)
        listed.pop("size", None)
        if missing == "size and lfs":
            listed.pop("lfs", None)
        elif missing == "size in lfs" and "lfs" in listed:
            del listed["lfs"]["size"]
        return listed

    monkeypatch.setattr(services_hub, "sibling", partly)
    hub.add(NAME, FILES)
    project.does("weights_lock")
    wanted = {name: {"sha256": hashlib.sha256(file).hexdigest(), "size": len(file)} for name, file in WANTED.items()}
    assert project.locked()["files"] == wanted
    check_that_only_headers_came(hub)


def test_a_small_file_that_arrives_compressed_is_decompressed(hub: Hub, project: Project) -> None:
    """As some proxies send text, though it was requested uncompressed."""
    hub.add(NAME, FILES)
    hub.faults.append(Fault("config.json", "gzip", times=100))
    project.does("weights_lock")
    project.does("weights")
    assert project.files == WANTED


def test_the_offline_error_names_the_variable(hub: Hub, project: Project) -> None:
    hub.add(NAME, FILES)
    message = project.refuses("weights_lock", HF_HUB_OFFLINE="1")
    assert message == f"HF_HUB_OFFLINE keeps the Hub from being asked for {NAME}: unset it"


def test_a_model_that_no_engine_can_run_is_refused_before_the_download(hub: Hub, project: Project) -> None:
    project.settings.pop(CHECK)
    hub.add(NAME, FILES | {"config.json": b'{"model_type": "mamba"}'})
    assert "mamba has a recurrent state, not just a key-value cache" in project.refuses("weights_lock")
    assert not project.lock.exists()
    check_that_only_headers_came(hub)


def test_more_of_a_gguf_is_requested_until_its_header_is_complete(hub: Hub, project: Project, tmp_path: Path) -> None:
    file = tiny_models.gguf(tmp_path / "model.gguf", "llama", **{"general.description": "x" * 200_000})
    hub.add(NAME, {"model.gguf": file})
    project.model(f"hf://{NAME}@main", "*.gguf")
    project.does("weights_lock")
    assert [request.range for request in sent_by_cdn(hub)] == [HEADER, f"bytes=0-{16 * headers.FIRST - 1}"]
    found = project.locked()["facts"]
    assert (found["architecture"], found["layers"], found["context_length"]) == ("llama", 2, 512)
