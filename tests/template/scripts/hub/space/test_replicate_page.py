"""The demo with Replicate's API: the page of a deployment, against the local Replicate."""

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import expect

from models import manifest
from scripts.contract import schema
from scripts.hub.space import facts
from tests.services.replicate_client import client_of
from tests.services.replicate_http import Fault
from tests.services.replicate_prediction import Prediction
from tests.services.scripted_replicate import ScriptedReplicate
from tests.template.scripts.hub.space.conftest import Visit
from tests.template.server.live_server import eventually

PIECES = ("The sea ", "is salty.\n", "And it is ", "deep.")


def _writes(prediction: Prediction) -> None:
    """Streams pieces; a prompt with wait continues until it is cancelled, and one with fail fails."""
    prompt = prediction.as_json()["input"].get("prompt", "")
    prediction.start()
    for piece in PIECES:
        prediction.add_output(piece)
    if prompt == "wait" and prediction.canceling.wait(30):
        prediction.end("canceled")
    prediction.end("failed", error="out of memory") if prompt == "fail" else prediction.end("succeeded")


@pytest.fixture
def service(service: ScriptedReplicate) -> ScriptedReplicate:
    (version,) = service.add_model("acme/writer", schema.generate("TextGeneration"))
    client_of(service).deployments.create(
        name="live", model="acme/writer", version=version.id, hardware="gpu-t4", min_instances=0, max_instances=1
    )
    service.script = _writes
    return service


@pytest.mark.parametrize("what", ["acme/writer", "deployment:acme/live"])
def test_a_person_can_chat_on_the_page(visit: Visit, show: Callable[..., str], service: ScriptedReplicate, what: str):
    page = visit(show(facts.of(manifest.selected(), what)))
    page.locator("#message textarea").fill("Why is the sea salty?")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#chat [data-testid=bot]")).to_contain_text("deep.")
    page.get_by_role("tab", name="Single prediction").click()
    prompt, run, status = page.locator("#input-prompt textarea"), page.locator("#run"), page.locator("#status")
    prompt.fill("wait")
    run.click()
    expect(page.locator("#output textarea")).to_have_value("".join(PIECES))
    page.locator("#stop").click()
    expect(status).to_have_text("Stopped")
    eventually(lambda: {one.status for one in service.predictions.values()} == {"succeeded", "canceled"}, "the cancel")
    prompt.fill("fail")
    run.click()
    expect(page.get_by_role("alert")).to_have_text("out of memory")
    service.faults.append(Fault("POST", ".*/predictions", 1, 402))
    run.click()
    expect(page.get_by_role("alert")).to_have_text("Replicate needs a payment first")
    page.locator("#input-prompt textarea").fill("")
    page.get_by_role("tab", name="Code").click()
    expect(page.locator("#code-python")).to_contain_text("replicate")


def test_a_visitor_is_told_when_the_queue_is_full(show: Callable[..., str], service: ScriptedReplicate):
    address = show(facts.of(manifest.selected(), "acme/writer").model_copy(update={"slots": 1}))
    config = httpx.get(f"{address}config").json()
    run = next(part["id"] for part in config["components"] if part["props"].get("elem_id") == "run")
    event = next(one for one in config["dependencies"] if [run, "click"] in map(list, one["targets"]))
    values = ["wait", *[None] * (len(event["inputs"]) - 1)]

    def press(visitor: int) -> int:
        body = {"data": values, "fn_index": event["id"], "session_hash": f"visitor{visitor}"}
        return httpx.post(f"{address}gradio_api/queue/join", json=body).status_code

    assert press(0) == 200
    eventually(lambda: len(service.predictions) == 1, "the first visitor's prediction")
    assert [press(visitor) for visitor in range(1, 6)] == [200, 200, 200, 200, 503]
    assert len(service.predictions) == 1
