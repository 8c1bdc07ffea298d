"""The local Replicate and the local Hub, tested with the official JavaScript clients of both."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commands import run
from tests.schemas import cog
from tests.services.hub import Hub
from tests.services.node import clients_in
from tests.services.replicate_http import Fault
from tests.services.replicate_prediction import Prediction
from tests.services.replicate_routes import Collection
from tests.services.scripted_replicate import ScriptedReplicate

TEXTS = {
    "type": "array",
    "items": {"type": "string"},
    "x-cog-array-type": "iterator",
    "x-cog-array-display": "concatenate",
}
INPUTS = {"prompt": {"type": "string"}, "image": {"type": "string", "format": "uri"}}
WEIGHTS = os.urandom(300_000)
FILES = {"config.json": b"{}", "model.safetensors": WEIGHTS, "onnx/notes.txt": b"notes"}
Node = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    """Runs a script of the folder javascript/ with the clients installed; returns its output."""
    folder = clients_in(tmp_path_factory.mktemp("javascript"))

    def script(name: str, *arguments: str) -> dict[str, Any]:
        done = run("node", name, *arguments, cwd=folder, seconds=60)
        assert done.returncode == 0, done.stderr
        printed: dict[str, Any] = json.loads(done.stdout)
        return printed

    return script


def writes(prediction: Prediction) -> None:
    """Streams two pieces, or waits until it is cancelled."""
    prediction.start()
    if prediction.as_json()["input"]["prompt"] == "wait":
        prediction.canceling.wait(30)
        prediction.end("canceled")
    for piece in ("The sea\n", "is salty"):
        prediction.add_output(piece)
    prediction.end("succeeded")


def test_replicates_javascript_client_runs_streams_uploads_and_searches(node: Node):
    with ScriptedReplicate() as service:
        service.script, service.page_size = writes, 2
        (version,) = service.add_model("acme/writer", cog(INPUTS, TEXTS, required=("prompt",)), visibility="public")
        service.add_model("acme/painter", cog(INPUTS))
        service.collections["text"] = Collection("text", "Text", "Models that write", ["acme/writer", "acme/painter"])
        service.faults.append(Fault("GET", "/v1/account", 1, 429))
        found = node("replicate.mjs", service.base_url, service.token, f"acme/writer:{version.id}")
        streams = [request for request in service.requests if request.path.startswith("/streaming/")]
        uploaded = next(file for file in service.files.values() if found["uploaded"].endswith(file.id))
    assert (found["account"], found["canceled"], found["run"]) == ("acme", "canceled", ["The sea\n", "is salty"])
    assert "gpu-l40s" in found["hardware"]
    assert found["stream"] == [["output", "The sea\n"], ["output", "is salty"], ["done", "{}"]]
    assert [(request.status, request.has_token) for request in streams] == [(200, False)]
    assert found["predictions"] == [2, 1]
    content = bytes([0, 13, 10, 255, 10, 13])
    file = found["file"]
    assert (file["name"], file["content_type"], file["size"]) == ("a.bin", "image/png", len(content))
    assert (file["metadata"], file["checksums"]["sha256"]) == ({"mine": True}, hashlib.sha256(content).hexdigest())
    assert found["files"] == [file["id"]]
    assert uploaded.content == content
    assert found["deleted"] == [True, 404]
    assert (found["collections"], found["collection"]) == (["text"], ["writer"])
    assert (found["searched"], found["not_found"]) == (["writer"], [])
    assert found["refusals"] == [401, 404, 422]


def test_the_hubs_javascript_client_downloads_a_repository(node: Node, tmp_path: Path):
    with Hub() as hub:
        hub.page_size = 2
        old = hub.add("org/name", {"config.json": b"old"})
        hub.tag("org/name", "v1", old)
        commit = hub.add("org/name", FILES)
        for kind in ("private", "gated"):
            hub.add(f"org/{kind}", FILES, private=kind == "private", gated=kind == "gated")
            hub.allow(f"org/{kind}", "hf_reader")
        found = node("hub.mjs", hub.endpoint, "hf_reader", str(tmp_path))
        assert hub.leaks == []
    folder = Path(found["folder"])
    assert {file: (folder / file).read_bytes() for file in FILES} == FILES
    assert found["info"] == ["org/name", commit, "org", False, False]
    assert found["exists"] == [True, True, False]
    assert sorted(found["files"]) == sorted(["directory onnx", *(f"file {file}" for file in FILES)])
    assert found["weights"] == [len(WEIGHTS), hashlib.sha256(WEIGHTS).hexdigest(), commit]
    assert found["text"] == "old"
    assert found["closed"] == [401, 401, 401, True, True]


def test_the_hubs_javascript_client_uploads_a_repository(node: Node, tmp_path: Path):
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(WEIGHTS)
    with Hub() as hub:
        hub.writer("hf_writer", "ada", "acme")
        found = node("hub_uploads.mjs", hub.endpoint, "hf_writer", weights.as_uri())
        assert hub.leaks == []
        sent = [request for request in hub.requests if request.method == "PUT"]
        tree = hub.repos["acme/model"].commits[found["commits"][0][0]]
    assert found["created"] == f"{hub.endpoint}/acme/model"
    assert [title for _, title in found["commits"]] == ["Without notes", "Upload", "initial commit"]
    assert {path: blob.sha256 for path, blob in tree.items()} == {
        ".gitattributes": None,
        "config.json": None,
        "model.safetensors": hashlib.sha256(WEIGHTS).hexdigest(),
    }
    assert [request.content for request in sent] == [WEIGHTS]
    assert found["space"] == [".gitattributes", "README.md"]
    assert found["refusals"] == [409, 403, 401, 412, 400]
