"""Streaming, also of many predictions at once, through Cog's real server with the real model."""

from contextlib import ExitStack

import pytest

from tests.template.server.live_server import ENDLESS, SLOTS, LiveServer, eventually

SHORT = {"prompt": "Tell me a story.", "temperature": 1.0, "max_tokens": 12}
METRICS = {
    "input_token_count": int,
    "output_token_count": int,
    "time_to_first_token": float,
    "tokens_per_second": float,
    "finish_reason": str,
    "seed": int,
    "engine": str,
    "device": str,
}


def text_of(prediction: dict) -> str:
    return "".join(prediction["output"])


def test_events_are_in_order_and_their_chunks_make_up_the_output(each_server: LiveServer):
    with each_server.stream(**SHORT) as stream:
        names = [name for name, _ in stream]
    completed = stream.events[-1][1]
    assert names[0] == "start"
    assert names[-1] == "completed"
    assert len(stream.chunks) > 1
    assert stream.chunks == completed["output"]
    assert [data["index"] for name, data in stream.events if name == "output"] == list(range(len(stream.chunks)))
    assert completed["status"] == "succeeded"


def test_every_prediction_reports_its_metrics(each_server: LiveServer, request: pytest.FixtureRequest):
    metrics = each_server.predict(**SHORT, seed=0)["metrics"]
    assert {name: type(metrics.get(name)) for name in METRICS} == METRICS
    assert metrics["engine"] in request.node.callspec.id
    assert metrics["device"] in ("cpu", "cuda")
    assert metrics["output_token_count"] == SHORT["max_tokens"]
    assert metrics["finish_reason"] == "length"
    assert metrics["tokens_per_second"] > 0


def test_the_reported_seed_repeats_a_text_whose_seed_was_random(server: LiveServer):
    server.predict(**SHORT)  # a prompt's first answer may differ
    first, other = server.predict(**SHORT), server.predict(**SHORT)
    assert first["metrics"]["seed"] != other["metrics"]["seed"]
    again = server.predict(**SHORT, seed=first["metrics"]["seed"])
    assert "".join(again["output"]) == "".join(first["output"])


@pytest.mark.slow
@pytest.mark.parametrize("stop", [[" 8"], ["8, 9"], ["nowhere", "9, 10, 11"]])
def test_no_part_of_a_stop_string_is_sent(server: LiveServer, stop: list[str]):
    counting = {"prompt": "1, 2, 3, 4, 5,", "raw": True, "temperature": 0, "max_tokens": 40}
    whole = text_of(server.predict(**counting))
    with server.stream(**counting, stop=stop) as stream:
        metrics = stream.until("completed")["metrics"]
    assert "".join(stream.chunks) == whole[: whole.index(stop[-1])]
    assert metrics["finish_reason"] == "stop"


def test_a_text_that_the_model_ends_has_finish_reason_stop(server: LiveServer):
    metrics = server.predict(prompt="The capital of France is", temperature=0, max_tokens=64)["metrics"]
    assert metrics["finish_reason"] == "stop"
    assert metrics["output_token_count"] < 64


def test_characters_of_several_tokens_are_sent_complete(server: LiveServer):
    with server.stream(prompt="🎉🐙 " * 5 + "🎉", raw=True, temperature=0, max_tokens=36) as stream:
        stream.until("completed")
    assert "".join(stream.chunks).count("🐙") > 3
    # Only the cut at max_tokens may leave an incomplete character, in the last chunk.
    assert "\ufffd" not in "".join(stream.chunks[:-1])


def test_with_all_slots_busy_a_prediction_is_refused_and_later_accepted(server: LiveServer):
    with ExitStack() as stack:
        streams = [stack.enter_context(server.stream(**ENDLESS)) for _ in range(SLOTS)]
        for stream in streams:
            stream.until("output")
        assert server.post(prompt="Hi").status_code == 409
        assert server.health() == "BUSY"
        streams[0].cancel()
        streams[0].until("completed")
        eventually(lambda: server.post(prompt="Hi", max_tokens=1).status_code == 200, "the freed slot")
    server.assert_answers()
