"""The benchmark's load against a real server."""

from scripts.benchmark import load
from tests.template.server.live_server import SLOTS, LiveServer

PROMPTS = load.prompts()


def test_every_stream_is_counted_whole(server: LiveServer) -> None:
    sample = load.run(server.address, PROMPTS[:16])
    assert sample.output_tokens == [128] * 16
    assert sample.input_tokens == [32] * 16
    assert all(first > 0 for first in sample.first_tokens)
    assert len(sample.gaps) > 100


def test_a_full_server_is_asked_again_until_it_takes_the_stream(server: LiveServer) -> None:
    prompts = PROMPTS[: SLOTS + 4]
    assert len(load.run(server.address, prompts).output_tokens) == SLOTS + 4
    server.assert_answers()
