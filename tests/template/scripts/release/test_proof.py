"""The proof of an image whose container fails: it dies, or cannot fetch its weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from models import manifest
from scripts.contract import schema
from scripts.release import ledger, proof
from scripts.release.release import Refused, Release
from scripts.release.target import parse
from scripts.serving import local_container
from tests.services.http import Fault, Service
from tests.services.http_messages import Request, Response

MODEL = manifest.selected()


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Mapping[str, Any]]:
    """The options of each started container, which dies at its first prediction."""
    options_of: list[Mapping[str, Any]] = []

    @contextmanager
    def running(image: str, options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        options_of.append(options)

        def respond(request: Request) -> Response:
            if request.method == "POST":
                service.faults.append(Fault("", "dead", times=1_000))
                raise ConnectionAbortedError
            return Response(200, {}, b'{"status": "READY"}')

        with Service() as service:
            yield f"http://127.0.0.1:{service.serve('container', respond)}", None

    monkeypatch.setattr(local_container, "running", running)
    monkeypatch.setattr(proof, "adopt", lambda release: {})
    monkeypatch.setattr(proof, "contract_of", lambda found: schema.generate(MODEL.predictor_class))
    monkeypatch.setattr(ledger, "FOLDER", tmp_path)
    return options_of


def test_a_server_that_crashes_is_refused_with_the_command_that_crashed_it(given: list[Mapping[str, Any]]) -> None:
    release = Release(MODEL, "cpu", parse("registry.example/acme/x"))
    with pytest.raises(Refused) as refused:
        proof.prove(release)
    begins, example, curl, *_, last = str(refused.value).splitlines()
    name = "registry.example/acme/x:staging"
    assert begins == f"{name} fails; to reproduce it: docker run --rm -p 5000:5000 {name}, then"
    assert example.startswith(f"  example {MODEL.examples[0].name!r} no answer: ")
    assert curl.startswith("    curl -sS http://127.0.0.1:5000/predictions ")
    assert last.startswith("  then it no longer answered")
    assert given == [{}]


def test_a_container_that_fetches_its_weights_gets_the_token_and_the_package_index(
    given: list[Mapping[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example/simple")
    fetched = MODEL.model_copy(update={"weights": MODEL.weights.model_copy(update={"delivery": "fetched"})})
    with pytest.raises(Refused) as refused:
        proof.prove(Release(fetched, "cpu", parse("registry.example/acme/x")))
    assert given[0]["environment"]["HF_TOKEN"] == "hf_secret"
    assert given[0]["environment"]["PIP_INDEX_URL"] == "https://index.example/simple"
    assert "hf_secret" not in str(refused.value)
