"""The local Replicate really runs pushed images: it stops them at a cancel, reports a failed setup, and cleans up."""

import uuid

import docker
from replicate.client import Client
from replicate.version import Version

from tests.services.replicate import LABEL, Replicate
from tests.services.replicate_client import client_of, push, push_variant, until

from . import host

NAME = f"acme/local-{uuid.uuid4().hex[:12]}"
CAPITAL = {"prompt": "The capital of France is", "temperature": 0, "max_tokens": 8}
# Greedy counting continues: it does not end soon by itself.
COUNTING = {"prompt": "1 2 3 4 5 6 7 8 9 10", "raw": True, "temperature": 0, "max_tokens": 4000}


def test_output_arrives_during_the_prediction_and_a_cancel_stops_it(client: Client, version: Version) -> None:
    prediction = client.predictions.create(version=version, input=COUNTING)
    events = prediction.stream()
    assert next(events).event.value == "output"
    assert until(prediction, "processing").completed_at is None
    prediction.cancel()
    assert [event.data for event in events if event.event.value == "done"] == ['{"reason": "canceled"}']
    assert until(prediction, "canceled").metrics["output_token_count"] < 4000


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
