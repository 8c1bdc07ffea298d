"""Cancelling, by HTTP or by disconnecting, ends the generation and frees its slot."""

import random
from contextlib import ExitStack

import pytest

from tests.template.server.live_server import ENDLESS, SLOTS, LiveServer, eventually


def test_http_cancel_ends_the_prediction(each_server: LiveServer):
    with each_server.stream(**ENDLESS) as stream:
        for _ in range(3):
            stream.until("output")
        stream.cancel()
        completed = stream.until("completed")
    assert completed["status"] == "canceled"
    assert completed["metrics"]["finish_reason"] == "cancelled"
    assert completed["metrics"]["output_token_count"] < ENDLESS["max_tokens"]
    each_server.assert_answers()


def test_cancel_before_the_first_token(server: LiveServer):
    with server.stream(prompt="A long way to the first token. " * 900, max_tokens=5) as stream:
        stream.until("metric")
        stream.cancel()
        assert stream.until("completed")["status"] == "canceled"
    assert stream.chunks == []
    server.assert_answers()


@pytest.mark.slow
def test_cancelling_one_prediction_does_not_stop_the_others(server: LiveServer):
    short = ENDLESS | {"max_tokens": 60}
    alone = server.predict(**short)["output"]
    with server.stream(**ENDLESS) as cancelled, server.stream(**short) as other:
        cancelled.until("output")
        other.until("output")
        cancelled.cancel()
        assert cancelled.until("completed")["status"] == "canceled"
        completed = other.until("completed")
    assert completed["status"] == "succeeded"
    assert completed["metrics"]["output_token_count"] == 60
    assert "".join(completed["output"])[:40] == "".join(alone)[:40]


def test_a_dropped_connection_frees_its_slot(each_server: LiveServer):
    with ExitStack() as stack:
        kept = [stack.enter_context(each_server.stream(**ENDLESS)) for _ in range(SLOTS - 1)]
        with each_server.stream(**ENDLESS) as dropped:
            dropped.until("metric")
            assert each_server.post(prompt="Hi").status_code == 409
        with ExitStack() as attempts:

            def accepted() -> bool:
                stream = attempts.enter_context(each_server.stream(**ENDLESS))
                return stream.status_code == 200 and bool(stream.until("output"))

            eventually(accepted, "the dropped prediction's slot")
        # The others, just as long, still run: the slot was not free because its prediction was done.
        for stream in kept:
            stream.cancel()
        assert {stream.until("completed")["status"] for stream in kept} == {"canceled"}
    each_server.assert_answers()


@pytest.mark.slow
def test_forty_cancellations_leak_no_slot(server: LiveServer):
    """Cancels after the second event: coglet 0.22 can lose a cancel that arrives before it starts the prediction."""
    choices = random.Random(40)
    for _ in range(40):
        with server.stream(**ENDLESS) as stream:
            for _ in range(choices.randrange(2, 12)):
                next(iter(stream))
            if choices.random() < 0.5:
                stream.cancel()
                assert stream.until("completed")["status"] == "canceled"
    with ExitStack() as stack:
        streams = []
        for _ in range(SLOTS):
            eventually(lambda: server.health() == "READY", "a free slot")
            streams.append(stack.enter_context(server.stream(**ENDLESS)))
        assert [stream.status_code for stream in streams] == [200] * SLOTS
        for stream in streams:
            stream.until("output")
    server.assert_answers()
