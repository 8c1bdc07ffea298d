"""The local Replicate of other tests, called with Replicate's own client: models, versions, refusals, faults."""

import json
import time
import uuid

import docker
import httpx
import pytest
from replicate.client import Client
from replicate.version import Version

from tests.services.replicate import Fault, Replicate
from tests.services.replicate_client import http_of, refused, until

NAME = f"acme/local-{uuid.uuid4().hex[:12]}"
CAPITAL = {"prompt": "The capital of France is", "temperature": 0, "max_tokens": 8}


def test_the_account_and_the_hardware(client: Client) -> None:
    assert client.accounts.current().username == "acme"
    assert {"cpu", "gpu-l40s", "gpu-h100"} <= {hardware.sku for hardware in client.hardware.list()}


def test_the_environment_points_the_client_at_it(service: Replicate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICATE_BASE_URL", service.address)
    monkeypatch.setenv("REPLICATE_API_TOKEN", service.token)
    assert Client().accounts.current().username == service.account


def test_a_model_is_created_once_updated_and_deleted(client: Client, service: Replicate) -> None:
    client.models.create("acme", "short-lived", visibility="private", hardware="cpu", description="A test")
    assert client.models.get("acme/short-lived").latest_version is None
    create = client.models.create
    assert refused(create, "acme", "short-lived", visibility="private", hardware="cpu").status == 409
    assert refused(create, "acme", "other", visibility="private", hardware="abacus").status == 422
    assert refused(create, "acme", "Not a slug", visibility="private", hardware="cpu").status == 422
    assert refused(create, "someone-else", "model", visibility="private", hardware="cpu").status == 403

    with http_of(service) as http:
        changes = {"description": "Better", "readme": "# Read me", "license_url": "https://example.com/licence"}
        assert http.patch("/models/acme/short-lived", json=changes).json()["description"] == "Better"
        assert http.get("/models/acme/short-lived/readme").text == "# Read me"
        assert http.patch("/models/acme/short-lived", json={"visibility": "public"}).status_code == 422
    assert client.models.get("acme/short-lived").license_url == "https://example.com/licence"
    assert client.models.delete("acme/short-lived")
    assert refused(client.models.get, "acme/short-lived").status == 404


def test_a_version_is_a_pushed_image(client: Client, version: Version, engine: docker.DockerClient) -> None:
    labels = engine.images.get(f"r8.im/{NAME}@sha256:{version.id}").labels
    assert version.openapi_schema == json.loads(labels["run.cog.openapi_schema"])
    assert version.cog_version == labels["run.cog.version"]
    assert client.models.get(NAME).versions.get(version.id).id == version.id


def test_wrong_requests_are_refused_by_name(client: Client, service: Replicate, version: Version) -> None:
    wrong = refused(client.predictions.create, version=version, input=CAPITAL | {"temperature": 9, "top_k": "many"})
    assert wrong.status == 422
    assert wrong.detail is not None
    assert "- input.temperature: " in wrong.detail
    assert "- input.top_k: " in wrong.detail
    assert refused(client.predictions.create, version="0" * 64, input=CAPITAL).status == 422
    assert refused(client.predictions.create, model=NAME, input=CAPITAL).status == 404
    assert refused(client.predictions.get, "nothing").status == 404
    assert refused(client.models.get, "acme/nothing").status == 404
    with http_of(service) as http:
        assert http.post("/predictions", json={"version": version.id, "input": {}, "seed": 1}).status_code == 422
        assert http.post("/predictions", content="{").status_code == 400
        assert http.get("/nowhere").status_code == 404
        assert http.put("/predictions", json={}).status_code == 405


def test_a_valid_token_is_required_and_belongs_to_one_account(service: Replicate, version: Version) -> None:
    stranger = Client(api_token="wrong", base_url=service.address)
    assert refused(stranger.accounts.current).status == 401
    other = Client(api_token=service.add_account("other"), base_url=service.address)
    assert other.accounts.current().username == "other"
    assert refused(other.models.get, NAME).status == 404
    assert refused(other.predictions.create, version=version, input=CAPITAL).status == 422
    basic = httpx.get(f"{service.base_url}/account", headers={"Authorization": f"Token {service.token}"})
    assert (basic.status_code, basic.headers["Content-Type"]) == (401, "application/problem+json")


def test_lists_are_paginated(client: Client, service: Replicate, version: Version) -> None:
    made = [client.predictions.create(version=version, input=CAPITAL | {"max_tokens": 1}).id for _ in range(3)]
    service.page_size = 2
    try:
        first = client.predictions.list()
        second = client.predictions.list(first.next)
    finally:
        service.page_size = 100
    assert [prediction.id for prediction in [*first, *second]][:3] == made[::-1]
    assert first.previous is None
    assert client.predictions.list(second.previous).results[0].id == made[-1]
    assert refused(client.predictions.list, "/v1/predictions?cursor=bm93aGVyZQ==").status == 404


def test_the_client_repeats_reads_but_never_writes(client: Client, service: Replicate) -> None:
    service.faults += [Fault("GET", "/v1/account", 2, 429), Fault("POST", "/v1/models", 1, 429, retry_after=7)]
    before, began = len(service.requests), time.monotonic()
    assert client.accounts.current().username == "acme"
    assert [request.status for request in service.requests[before:]] == [429, 429, 200]
    assert time.monotonic() - began >= 2
    throttled = refused(client.models.create, "acme", "throttled", visibility="private", hardware="cpu")
    assert (throttled.status, throttled.detail) == (429, "Request was throttled. Expected available in 7 seconds.")
    assert "acme/throttled" not in service.models


def test_connections_are_cut_before_and_after_the_change(client: Client, service: Replicate) -> None:
    for kind in ("cut", "after"):
        service.faults.append(Fault("POST", "/v1/models", 1, kind))
        with pytest.raises(httpx.RemoteProtocolError):
            client.models.create("acme", f"lost-{kind}", visibility="private", hardware="cpu")
        assert service.requests[-1].status is None
    assert "acme/lost-cut" not in service.models
    assert "acme/lost-after" in service.models


def test_a_stream_is_cut_after_its_first_event(client: Client, service: Replicate, version: Version) -> None:
    service.faults.append(Fault("GET", "/streaming/.*", 1, "cut"))
    prediction = client.predictions.create(version=version, input=CAPITAL)
    events = prediction.stream()
    assert next(events).event.value == "output"
    with pytest.raises(httpx.RemoteProtocolError):
        next(events)
    assert until(prediction, "succeeded").output


def test_an_account_without_credit_gets_402(client: Client, service: Replicate, version: Version) -> None:
    service.is_out_of_credit = True
    try:
        assert refused(client.predictions.create, version=version, input=CAPITAL).status == 402
    finally:
        service.is_out_of_credit = False
