"""The code on the page works: with the local Cog server, and with the local Replicate and its own clients."""

import json
import sys
from pathlib import Path

import pytest

from models import manifest
from scripts.hub.space import facts
from scripts.hub.space.demo import snippets
from scripts.hub.space.demo.prediction import data_uri
from tests import commands
from tests.schemas import cog
from tests.services.node import clients_in
from tests.services.replicate_client import client_of
from tests.services.replicate_prediction import Prediction
from tests.services.scripted_replicate import ScriptedReplicate
from tests.template.server.live_server import LiveServer

LANGUAGES = ("python", "javascript", "curl")
AWKWARD = 'It\'s "100%", $HOME `id` \\n — ja: はい'
"""Characters that a shell or a language could misread."""


def _run(language: str, code: str, folder: Path) -> str:
    """The output of the code, which must succeed."""
    name = {"python": "call.py", "javascript": "call.mjs", "curl": "call.sh"}[language]
    (folder / name).write_text(code, encoding="utf-8")
    program = {"python": sys.executable, "javascript": "node", "curl": "sh"}[language]
    return commands.succeed(program, name, cwd=folder)


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_calls_the_cog_server(openvino_server: LiveServer, tmp_path: Path, language: str):
    known = facts.of(manifest.selected(), openvino_server.address)
    asked = {"prompt": "The capital of France is", "temperature": 0, "max_tokens": 8, "stop": [AWKWARD], "raw": False}
    code = dict(zip(LANGUAGES, snippets.write(known, openvino_server.address, asked), strict=True))[language]
    output = _run(language, code, tmp_path)
    if language == "curl":
        lines = [json.loads(line[6:]) for line in output.splitlines() if line.startswith("data: ")]
        output = "".join(line["chunk"] for line in lines if "chunk" in line)
    assert "Paris" in output


PAINTER = cog(
    {"prompt": {"type": "string", "x-order": 0}, "image": {"type": "string", "format": "uri", "x-order": 1}},
    required=("prompt", "image"),
)


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which Replicate's JavaScript client is installed."""
    return clients_in(tmp_path_factory.mktemp("clients"))


@pytest.fixture
def service(service: ScriptedReplicate, monkeypatch: pytest.MonkeyPatch) -> ScriptedReplicate:
    """acme/painter, and its deployment acme/live; a prediction returns its input."""
    monkeypatch.setenv("REPLICATE_API_BASE_URL", service.address)
    monkeypatch.setenv("REPLICATE_POLL_INTERVAL", "0.05")
    (version,) = service.add_model("acme/painter", PAINTER)
    client_of(service).deployments.create(
        name="live", model="acme/painter", version=version.id, hardware="gpu-t4", min_instances=0, max_instances=1
    )

    def echo(prediction: Prediction) -> None:
        prediction.start()
        prediction.end("succeeded", output=json.dumps(prediction.as_json()["input"]))

    service.script = echo
    return service


@pytest.mark.parametrize("what", ["acme/painter", "deployment:acme/live"])
def test_it_calls_replicate_with_a_file(service: ScriptedReplicate, clients: Path, what: str):
    known = facts.of(manifest.selected(), what)
    (clients / "it's.png").write_bytes(b"not quite a picture")
    asked = {"prompt": AWKWARD, "image": "/somewhere/it's.png"}
    wanted = {"prompt": AWKWARD, "image": data_uri(clients / "it's.png")}
    for language, code in zip(LANGUAGES, snippets.write(known, service.address, asked), strict=True):
        code = code.replace("new Replicate()", f"new Replicate({{ baseUrl: {json.dumps(service.base_url)} }})")
        output = _run(language, code, clients)
        assert (json.loads(json.loads(output)["output"]) if language == "curl" else json.loads(output)) == wanted
