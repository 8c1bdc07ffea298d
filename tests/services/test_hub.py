"""The local Hub offers Xet, notices leaked credentials, refuses unknown routes and wrong cards: others rely on it."""

import json
import os
from collections.abc import Iterator

import httpx
import pytest
from huggingface_hub import HfApi, ModelCard, constants, get_hf_file_metadata, hf_hub_url

from tests.services.hub import Hub

NAME, CARDS = "org/name", "acme/model"
FILE = "model.safetensors"
WEIGHTS = os.urandom(1000)
CARD = "---\n{}\n---\n# A model\n"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub with a repository of weights and one to write to. Telemetry would request something from the real Hub."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    with Hub() as hub:
        hub.add(NAME, {FILE: WEIGHTS})
        hub.writer("hf_writer", "ada", "acme")
        HfApi(endpoint=hub.endpoint, token="hf_writer").create_repo(CARDS)
        yield hub


def test_xet_is_offered_only_if_a_test_enables_it(hub: Hub) -> None:
    url = hf_hub_url(NAME, FILE, endpoint=hub.endpoint)
    assert get_hf_file_metadata(url, token=False, endpoint=hub.endpoint).xet_file_data is None
    hub.xet = True
    metadata = get_hf_file_metadata(url, token=False, endpoint=hub.endpoint)
    assert metadata.xet_file_data
    assert httpx.get(metadata.location).content == WEIGHTS


@pytest.mark.parametrize("header", [{"Authorization": "Bearer hf_known"}, {"Cookie": "token=hf_known"}])
def test_credentials_that_reach_the_cdn_are_refused_and_recorded(hub: Hub, header: dict[str, str]) -> None:
    signed = httpx.head(hf_hub_url(NAME, FILE, endpoint=hub.endpoint)).headers["Location"]
    assert httpx.get(signed, headers=header).status_code == 400
    assert [request.host for request in hub.leaks] == ["cdn"]


def test_unknown_routes_and_wrong_methods(hub: Hub) -> None:
    assert httpx.get(f"{hub.endpoint}/api/datasets/{NAME}").status_code == 404
    assert httpx.get(f"{hub.endpoint}/api/models/{NAME}/surprise").status_code == 404
    answer = httpx.delete(f"{hub.endpoint}/api/models/{NAME}")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("front", "message"),
    [
        ("license: [", "YAML parse error"),
        ("license: mine", "license"),
        ("tags: [1]", "tags"),
        ("language: [English]", "language"),
        ("model-index: [{name: m}]", "model-index"),
    ],
)
def test_a_card_with_wrong_front_matter_is_refused(hub: Hub, front: str, message: str) -> None:
    """When it is validated, and in a commit, which no client would send."""
    card = CARD.format(front)
    checked = httpx.post(f"{hub.endpoint}/api/validate-yaml", json={"content": card, "repoType": "model"})
    assert checked.status_code == 400
    assert message in checked.json()["errors"][0]["message"]
    lines = [{"key": "header", "value": {"summary": "By hand"}}]
    lines += [{"key": "file", "value": {"path": "README.md", "content": card}}]
    refused = httpx.post(
        f"{hub.endpoint}/api/models/{CARDS}/commit/main",
        headers={"Authorization": "Bearer hf_writer", "Content-Type": "application/x-ndjson"},
        content="\n".join(json.dumps(line) for line in lines),
    )
    assert refused.status_code == 400
    assert "Invalid metadata" in refused.json()["error"]


def test_a_card_can_be_validated_without_a_commit(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    ModelCard(CARD.format("license: apache-2.0")).validate()
    with pytest.raises(ValueError, match="license"):
        ModelCard(CARD.format("license: mine")).validate()
    space = "---\nsdk: gradio\ncolorFrom: {}\n---\n"
    ModelCard(space.format("blue")).validate("space")
    with pytest.raises(ValueError, match="colorFrom"):
        ModelCard(space.format("mauve")).validate("space")
    with pytest.raises(ValueError, match="sdk"):
        ModelCard("# A space").validate("space")
