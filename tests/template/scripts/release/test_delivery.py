"""The push to staging: what the registry must have afterwards."""

import time
from pathlib import Path

import pytest

from models import manifest
from models.tasks.text_generation.manifest import Expectation
from scripts.contract import schema
from scripts.release import delivery, ledger
from scripts.release.ledger import Entry
from scripts.release.release import Refused, Release
from scripts.release.target import parse
from scripts.replicate import client as replicate_api
from tests.services.replicate_prediction import Prediction
from tests.services.scripted_replicate import ScriptedReplicate
from tests.template.server.live_server import eventually

MODEL = manifest.selected()
PUSHED, OTHER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


def a_release(monkeypatch: pytest.MonkeyPatch, folder: Path, arrived: str) -> Release:
    """A release to Docker Hub, whose images the engine lists by a short name; the image is proven, cog push works."""
    release = Release(MODEL, "cpu", parse("docker.io/acme/x"), content="proven")
    monkeypatch.setattr(ledger, "FOLDER", folder)
    entry = Entry(time=ledger.now(), release="s", step="proof", result="ok", to="", commit="c", content="proven")
    ledger.append(MODEL.slug, entry)
    monkeypatch.setattr(delivery, "adopt", lambda release: None)
    monkeypatch.setattr(delivery, "_cog_push", lambda release: None)
    monkeypatch.setattr(delivery, "inspect", lambda name: {"RepoDigests": [f"acme/x@{PUSHED}"]})
    monkeypatch.setattr(delivery, "content_of", lambda found: "proven")
    monkeypatch.setattr(delivery, "arrived", lambda name: arrived)
    return release


def test_an_image_on_docker_hub_is_identified_by_its_digest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    release = a_release(monkeypatch, tmp_path, PUSHED)
    assert delivery.push(release) == f"docker.io/acme/x@{PUSHED}"
    assert release.digest == PUSHED


def test_an_image_other_than_the_pushed_one_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"has .*, which is not what was pushed: does somebody else push there"):
        delivery.push(a_release(monkeypatch, tmp_path, OTHER))


@pytest.mark.parametrize("status", ["aborted", "canceled", "failed"])
def test_an_example_that_replicate_aborts_is_refused(status: str, service: ScriptedReplicate) -> None:
    (version,) = service.add_model("acme/x", schema.generate(MODEL.predictor_class))

    def script(prediction: Prediction) -> None:
        eventually(lambda: len(service.requests) > 1, "its creation to be answered")
        prediction.end(status)  # type: ignore[arg-type]

    service.script = script
    with pytest.raises(Refused, match=rf"example '{MODEL.examples[0].name}' {status} in staging: no reason given"):
        delivery.run_example(replicate_api.connect(), MODEL.examples[0], version.id)


def test_a_staging_run_is_recorded_with_its_seconds_wait_and_tokens(service: ScriptedReplicate) -> None:
    (version,) = service.add_model("acme/x", schema.generate(MODEL.predictor_class))
    example = MODEL.examples[0].model_copy(update={"expect": Expectation(contains=["Paris"])})

    def script(prediction: Prediction) -> None:
        time.sleep(0.3)
        prediction.start()
        prediction.add_output("Paris")
        metrics = {"predict_time": 1.25, "input_token_count": 31, "output_token_count": 7}
        prediction.end("succeeded", metrics=metrics)

    service.script = script
    run = delivery.run_example(replicate_api.connect(), example, version.id)
    assert (run.seconds, delivery._sizes(MODEL, run.metrics)) == (1.25, {"input_tokens": 31, "output_tokens": 7})
    assert run.waited >= 0.3
