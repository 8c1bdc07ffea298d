"""Prompts that begin alike: cached blocks are computed once, and no generation gets another one's tokens."""

import itertools
import time

import pytest
import torch
from transformers import AutoModelForCausalLM, DynamicCache, PreTrainedModel

from models.tasks.text_generation.engines.interface import Engine, Generation
from models.tasks.text_generation.engines.openvino import OpenVino
from tests.template.models.tasks.text_generation.engines.helpers import TEXT, encoded, started, tokens

SURELY_WRONG = 1.0
"""A deficit in logits: rounding causes at most 0.5; tokens from another one's cache were seen to have up to 17."""


@pytest.fixture(params=["real", "transformers"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """OpenVINO with the real model, and transformers with a tiny one."""
    found: Engine = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def right(engine: Engine, request: pytest.FixtureRequest) -> PreTrainedModel:
    """The reference for the engine's tokens: the same weights in transformers and float32."""
    if isinstance(engine, OpenVino):
        return request.getfixturevalue("float32")
    return AutoModelForCausalLM.from_pretrained(request.getfixturevalue("tiny")[2], dtype=torch.float32)


def deficit(right: PreTrainedModel, running: list[Generation]) -> float:
    """The most that the logit of a generated token is below the largest logit.

    What a prompt shares with the one before it is not computed again.
    """
    known: list[int] = []
    cache, largest = DynamicCache(config=right.config), 0.0
    for generation in running:
        chosen = tokens(generation)
        token_ids = [*generation.prompt_ids, *chosen[:-1]]
        pairs = zip(known, generation.prompt_ids[:-1], strict=False)
        same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        if same < len(known):
            cache.crop(same - len(known))
        known = token_ids
        with torch.inference_mode():
            logits = right(torch.tensor([token_ids[same:]]), past_key_values=cache).logits[0, -len(chosen) :]
        below = logits.max(dim=-1).values - logits[torch.arange(len(chosen)), torch.tensor(chosen)]
        largest = max(largest, below.max().item())
    return largest


@pytest.mark.slow  # the whole model in float32
def test_concurrent_branches_of_one_conversation_get_their_own_tokens(engine: Engine, right: PreTrainedModel) -> None:
    token_ids = encoded(engine, TEXT)
    for end in (76, 301):  # the last block of 32 is partly filled
        begun = token_ids[:end]
        answer = tokens(started(engine, begun, max_tokens=3))
        branches = [begun + answer + token_ids[100 * number :][: 5 + number] for number in range(12)]
        running = [started(engine, branch, max_tokens=2) for branch in branches]
        assert deficit(right, running) < SURELY_WRONG


@pytest.mark.slow  # the whole model in float32
def test_many_concurrent_equal_prompts_get_the_same_tokens(engine: Engine, right: PreTrainedModel) -> None:
    prompt = encoded(engine, TEXT)[200:275]
    for _ in range(2):
        running = [started(engine, prompt, max_tokens=8) for _ in range(8)]
        assert deficit(right, running) < SURELY_WRONG


@pytest.mark.slow  # the whole model in float32
def test_a_prompt_cancelled_in_its_prefill_leaves_no_half_computed_block(
    engine: Engine, right: PreTrainedModel
) -> None:
    token_ids = encoded(engine, TEXT)
    for first in range(1000, 1005):
        beside = [started(engine, token_ids[100 * number :][:40], max_tokens=200) for number in range(3)]
        for generation in beside:
            next(iter(generation))
        prompt = [first, *token_ids[:1200]]
        cancelled = started(engine, prompt, max_tokens=1)
        time.sleep(0.15)  # some of its 1,201 tokens are computed
        cancelled.cancel()
        for generation in beside:
            generation.cancel()
        time.sleep(0.1)
        cut = [started(engine, prompt[:end], max_tokens=2) for end in (770, 514, 258)]
        assert deficit(right, cut) < SURELY_WRONG


def test_a_shared_system_prompt_is_computed_once(real: OpenVino) -> None:
    def seconds_to_the_first_token(prompt_ids: list[int]) -> float:
        asked_at = time.monotonic()
        tokens(started(real, prompt_ids, max_tokens=1))
        return time.monotonic() - asked_at

    token_ids = encoded(real, TEXT)
    system = token_ids[900:1900]
    first = seconds_to_the_first_token(system + token_ids[:20])
    later = [seconds_to_the_first_token(system + token_ids[start : start + 20]) for start in (50, 100, 150)]
    assert min(later) < first / 3
