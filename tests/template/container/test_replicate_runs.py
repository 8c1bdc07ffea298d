"""The local Replicate's predictions and deployments, which really run the pushed images."""

import json
import time
import uuid

import docker
import httpx
import pytest
from replicate.client import Client
from replicate.version import Version
from replicate.webhook import Webhooks

from tests.services.replicate import CUDA_ERROR, LABEL, Replicate
from tests.services.replicate_client import (
    Receiver,
    client_of,
    http_of,
    push,
    push_variant,
    refused,
    until,
)

from . import host

NAME = f"acme/local-{uuid.uuid4().hex[:12]}"
CAPITAL = {"prompt": "The capital of France is", "temperature": 0, "max_tokens": 8}
# Greedy counting continues: it does not end soon by itself.
COUNTING = {"prompt": "1 2 3 4 5 6 7 8 9 10", "raw": True, "temperature": 0, "max_tokens": 4000}


def digest_of(image: str) -> str:
    headers = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
    return httpx.head(f"http://r8.im/v2/{image}/manifests/latest", headers=headers).headers["Docker-Content-Digest"]


def test_a_prediction_runs_in_a_container_of_the_image(
    client: Client, version: Version, engine: docker.DockerClient
) -> None:
    output = client.run(f"{NAME}:{version.id}", CAPITAL)
    assert "Paris" in "".join(output)
    prediction = client.predictions.list()[0]
    assert (prediction.model, prediction.version, prediction.status) == (NAME, version.id, "succeeded")
    assert "Paris" in "".join(prediction.output)
    assert 0 < prediction.metrics["predict_time"] <= prediction.metrics["total_time"]
    assert prediction.metrics["output_token_count"] <= 8
    images = [each.attrs["Config"]["Image"] for each in engine.containers.list(filters={"label": LABEL})]
    assert f"r8.im/{NAME}@sha256:{version.id}" in images


def test_output_streams_as_replicates_own_events(client: Client, version: Version) -> None:
    events = list(client.stream(f"{NAME}:{version.id}", input=CAPITAL))
    assert [event.event.value for event in events] == ["output"] * (len(events) - 1) + ["done"]
    assert "Paris" in "".join(str(event) for event in events)
    assert events[-1].data == "{}"


def test_output_arrives_during_the_prediction_and_a_cancel_stops_it(client: Client, version: Version) -> None:
    prediction = client.predictions.create(version=version, input=COUNTING)
    events = prediction.stream()
    assert next(events).event.value == "output"
    assert until(prediction, "processing").completed_at is None
    prediction.cancel()
    assert [event.data for event in events if event.event.value == "done"] == ['{"reason": "canceled"}']
    assert until(prediction, "canceled").metrics["output_token_count"] < 4000


def test_waiting_time_and_lifetime_are_limited(client: Client, service: Replicate, version: Version) -> None:
    until(client.predictions.create(version=version, input=CAPITAL), "succeeded")
    with http_of(service) as http:

        def create(**headers: str) -> httpx.Response:
            body = {"version": version.id, "input": COUNTING}
            return http.post("/predictions", json=body, headers={n.replace("_", "-"): v for n, v in headers.items()})

        started = create(Prefer="wait=1", Cancel_After="5s")
        assert (started.status_code, started.json()["status"]) == (202, "starting")
        assert started.json()["deadline"] > started.json()["created_at"]
        assert create(Prefer="wait=61").status_code == 422
        assert create(Cancel_After="4s").status_code == 422
        deadline = time.monotonic() + 20
        while (status := http.get(started.json()["urls"]["get"]).json()["status"]) == "processing":
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert status == "canceled"


def test_webhooks_are_signed_and_repeated(client: Client, version: Version) -> None:
    with Receiver() as receiver:
        client.predictions.create(
            version=version,
            input=CAPITAL,
            webhook=f"http://127.0.0.1:{receiver.server_address[1]}/hook?for=test",
            webhook_events_filter=["start", "completed"],
        )
        assert receiver.is_over.wait(30)
    secret = client.webhooks.default.secret()
    for headers, body in receiver.received:
        Webhooks.validate(headers=headers, body=body, secret=secret, tolerance=60)
    with pytest.raises(ValueError, match="signature is invalid"):
        Webhooks.validate(headers=receiver.received[0][0], body=receiver.received[-1][1], secret=secret)
    statuses = [json.loads(body)["status"] for _, body in receiver.received]
    assert statuses == ["processing", "succeeded", "succeeded"]
    assert receiver.received[1][0]["webhook-id"] == receiver.received[2][0]["webhook-id"]


def test_an_official_model_runs_by_its_name(client: Client, service: Replicate, version: Version) -> None:
    service.official.add(NAME)
    try:
        prediction = client.models.predictions.create(NAME, input=CAPITAL)
        assert "Paris" in "".join(until(prediction, "succeeded").output)
        assert prediction.version == "hidden"
        with http_of(service) as http:
            assert http.get(f"/models/{NAME}").json()["is_official"] is True
    finally:
        service.official.clear()


def test_a_deployment_rolls_out_a_version_and_faults_can_be_injected(
    client: Client, service: Replicate, version: Version, engine: docker.DockerClient, cpu_image: str
) -> None:
    scale = {"hardware": "cpu", "min_instances": 0, "max_instances": 1}
    unknown = "0" * 64
    assert refused(client.deployments.create, name="live", model=NAME, version=unknown, **scale).status == 422
    release = client.deployments.create(name="live", model=NAME, version=version.id, **scale).current_release
    assert release is not None
    assert (release.number, release.model, release.version) == (1, NAME, version.id)
    assert release.configuration.dict() == scale
    create = client.deployments.predictions.create
    service.break_version(version.id, f"models/{NAME}")
    assert until(client.predictions.create(version=version, input=CAPITAL), "failed").error == CUDA_ERROR
    assert "Paris" in "".join(until(create("acme/live", CAPITAL), "succeeded").output)
    service.mend_version(version.id)

    push_variant(engine, cpu_image, NAME, f"ENV ROUND={uuid.uuid4().hex}")
    new, *_, old = client.models.get(NAME).versions.list()
    assert f"sha256:{new.id}" == digest_of(NAME)
    assert old.id == version.id
    rolled = client.deployments.update("acme", "live", version=new.id, max_instances=2).current_release
    assert rolled is not None
    assert (rolled.number, rolled.version, rolled.configuration.max_instances) == (2, new.id, 2)

    service.break_version(new.id, "deployments/acme/live")
    failed = until(create("acme/live", CAPITAL), "failed")
    assert (failed.error, failed.version) == (CUDA_ERROR, new.id)
    service.mend_version(new.id)
    assert "Paris" in "".join(until(create("acme/live", CAPITAL), "succeeded").output)

    assert refused(client.deployments.delete, "acme", "live").status == 409
    service.idle_seconds_before_deletion = 0
    assert client.deployments.delete("acme", "live")
    assert refused(client.deployments.get, "acme/live").status == 404


def test_a_version_whose_setup_fails_fails_its_predictions(
    client: Client, version: Version, engine: docker.DockerClient, cpu_image: str
) -> None:
    push_variant(engine, cpu_image, NAME, "ENV MODEL=nowhere")
    model = client.models.get(NAME)
    assert model.latest_version is not None
    assert model.latest_version.id != version.id
    prediction = until(client.predictions.create(version=model.latest_version.id, input=CAPITAL), "failed")
    assert prediction.error == "Model setup failed"
    assert "nowhere" in (prediction.logs or "")
    assert refused(client.models.delete, NAME).status == 409
    client.models.get(NAME).versions.delete(model.latest_version.id)
    assert model.latest_version.id not in [each.id for each in client.models.get(NAME).versions.list()]


def test_it_pulls_missing_images_and_removes_its_containers(engine: docker.DockerClient, version: Version) -> None:
    def started() -> set[str]:
        found = engine.containers.list(all=True, filters={"label": LABEL})
        return {each.id for each in found if NAME in each.attrs["Config"]["Image"]}

    push(engine, f"r8.im/{NAME}@sha256:{version.id}", NAME)
    host.forget(engine, {name for name in host.images_of_tests(engine) if name.startswith(f"r8.im/{NAME}")})
    before = started()
    with Replicate() as short:
        owner, name = NAME.split("/")
        client_of(short).models.create(owner, name, visibility="private", hardware="cpu")
        running = client_of(short).predictions.create(version=version, input=COUNTING)
        until(running, "processing")
        assert len(started() - before) == 1
    assert started() == before
