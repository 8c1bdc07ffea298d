"""The selected model behind Cog's real server: its examples, its stream, a cancel, full slots, wrong inputs."""

import json
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from httpx_sse import EventSource

from models.manifest import Example
from scripts.calling.cancelling import cancel
from scripts.cli import connection, waiting
from scripts.fuzzing import cases
from tests.fork.conftest import MODEL, Served

SECONDS = 30
"""The time in which a cancelled prediction must end, even on a busy machine."""


def is_ready(served: Served) -> bool:
    return bool(connection.ask("GET", f"{served.address}/health-check").json()["status"] == "READY")


def begun(served: Served, inputs: Mapping[str, Any]) -> tuple[int, str]:
    """Start a prediction; returns the status of the response, and the prediction's URL."""
    url = f"{served.address}/predictions/{uuid.uuid4().hex}"
    answer = connection.ask("PUT", url, json={"input": inputs}, headers={"Prefer": "respond-async"}, timeout=60)
    return answer.status_code, url


@pytest.mark.parametrize("example", MODEL.examples, ids=lambda example: example.name)
def test_each_example_of_the_manifest_meets_its_expectations(served: Served, example: Example) -> None:
    prediction = served.predict(example.input).json()
    assert prediction["status"] == "succeeded", prediction.get("error")
    assert example.expect.failures(prediction["output"], prediction.get("metrics") or {}) == []


def test_the_output_streams_if_the_class_streams_and_is_one_response_otherwise(served: Served) -> None:
    example = MODEL.examples[0].input
    assert waiting.until(lambda: is_ready(served), SECONDS)
    headers = {"Accept": "text/event-stream"}
    with connection.stream(
        "POST", f"{served.address}/predictions", json={"input": example}, headers=headers, timeout=600
    ) as answer:
        if not served.streams:
            assert answer.status_code == 406
            return
        events = [(event.event, json.loads(event.data)) for event in EventSource(answer).iter_sse()]
    assert [events[0][0], events[-1][0]] == ["start", "completed"]
    completed = events[-1][1]
    assert completed["status"] == "succeeded"
    assert [data["chunk"] for name, data in events if name == "output"] == completed["output"]


def test_a_cancelled_prediction_ends_and_frees_its_slot(served: Served) -> None:
    inputs = served.long or MODEL.examples[0].input
    status, url = begun(served, inputs)
    assert status == 202
    assert cancel([url], SECONDS)
    assert waiting.until(lambda: is_ready(served), SECONDS)
    assert served.predict(MODEL.examples[0].input).status_code == 200


def test_one_prediction_too_many_is_refused_until_a_slot_is_free(served: Served) -> None:
    assert waiting.until(lambda: is_ready(served), SECONDS)
    if served.long is None:  # short predictions may not fill every slot: at most some are refused, none is lost
        with ThreadPoolExecutor(served.slots + 1) as pool:
            answers = list(pool.map(served.send, [MODEL.examples[0].input] * (served.slots + 1)))
        assert {answer.status_code for answer in answers} <= {200, 409}
    else:
        started = [begun(served, served.long) for _ in range(served.slots)]
        assert [status for status, _ in started] == [202] * served.slots
        if served.send(MODEL.examples[0].input).status_code != 409:  # a model that ends early has freed a slot
            assert 404 in [connection.ask("POST", f"{url}/cancel").status_code for _, url in started]
        assert cancel([url for _, url in started], SECONDS)
    assert waiting.until(lambda: is_ready(served), SECONDS)
    assert served.predict(MODEL.examples[0].input).json()["status"] == "succeeded"


def test_every_input_that_the_schema_forbids_is_refused_by_name(served: Served) -> None:
    examples = [example.input for example in MODEL.examples]
    forbidden = [case for case in cases.cases(served.document, examples, mixed=0) if case.expect == "invalid"]
    assert forbidden
    wrong = []
    for case in forbidden:
        answer = served.predict(case.input)
        named = case.name.partition(":")[0] if ":" in case.name else ""  # none: all that are required are missing
        if answer.status_code != 422 or named not in answer.text:
            wrong.append(f"{case.name}: {answer.status_code} {answer.text[:200]}")
    assert wrong == []
    assert served.predict(MODEL.examples[0].input).status_code == 200
