"""The local Hub checks front matter like the real one: the tests of cards rely on it."""

import json
from collections.abc import Iterator

import httpx
import pytest
from huggingface_hub import HfApi, ModelCard, constants

from tests.services.hub import Hub

NAME = "acme/model"
CARD = "---\n{}\n---\n# A model\n"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub with a repository to write to. Telemetry would request a list of agents from the real one."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    with Hub() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        hub.writer("hf_writer", "ada", "acme")
        HfApi(endpoint=hub.endpoint, token="hf_writer").create_repo(NAME)
        yield hub


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
        f"{hub.endpoint}/api/models/{NAME}/commit/main",
        headers={"Authorization": "Bearer hf_writer", "Content-Type": "application/x-ndjson"},
        content="\n".join(json.dumps(line) for line in lines),
    )
    assert refused.status_code == 400
    assert "Invalid metadata" in refused.json()["error"]


def test_a_card_can_be_validated_without_a_commit(hub: Hub) -> None:
    ModelCard(CARD.format("license: apache-2.0")).validate()
    with pytest.raises(ValueError, match="license"):
        ModelCard(CARD.format("license: mine")).validate()
    space = "---\nsdk: gradio\ncolorFrom: {}\n---\n"
    ModelCard(space.format("blue")).validate("space")
    with pytest.raises(ValueError, match="colorFrom"):
        ModelCard(space.format("mauve")).validate("space")
    with pytest.raises(ValueError, match="sdk"):
        ModelCard("# A space").validate("space")
