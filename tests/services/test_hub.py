"""The local Hub offers Xet, notices leaked credentials and refuses unknown routes: other tests rely on it."""

import os
from collections.abc import Iterator

import httpx
import pytest
from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

from tests.services.hub import Hub

NAME = "org/name"
FILE = "model.safetensors"
WEIGHTS = os.urandom(1000)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub with one repository. Telemetry would request a list of agents from the real one, once per process."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    with Hub() as hub:
        hub.add(NAME, {FILE: WEIGHTS})
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
