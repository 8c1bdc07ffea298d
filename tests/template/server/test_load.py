"""The benchmark's load against a real server."""

import pytest

from models import manifest
from scripts import tasks
from scripts.benchmark import load
from tests.template.server.live_server import SLOTS, LiveServer

LOAD = tasks.load(manifest.selected())
EXAMPLES = load.Load([{"prompt": "Hi", "max_tokens": 2}], streams=False, each=3)


@pytest.mark.slow
def test_every_token_of_a_stream_is_counted(server: LiveServer) -> None:
    sample = load.run(server.address, LOAD.inputs[:4], LOAD)
    assert sample.sizes == {"input_tokens": [32] * 4, "output_tokens": [128] * 4}
    assert sample.per_second == 4 * 128 / sample.seconds
    assert all(first > 0 for first in sample.firsts)
    assert len(sample.gaps) > 100


def test_predictions_that_do_not_stream_are_counted_one_by_one(server: LiveServer) -> None:
    sample = load.run(server.address, EXAMPLES.inputs * 2, EXAMPLES)
    assert sample.per_second == 2 * 3 / sample.seconds
    assert len([first for first in sample.firsts if first > 0]) == 6
    assert (sample.gaps, sample.sizes) == ([], {})


@pytest.mark.slow
def test_a_full_server_is_tried_again_until_it_accepts_the_stream(server: LiveServer) -> None:
    shorter = [{**inputs, "max_tokens": 32} for inputs in LOAD.inputs[: SLOTS + 4]]
    assert len(load.run(server.address, shorter, LOAD).firsts) == SLOTS + 4
    server.assert_answers()
