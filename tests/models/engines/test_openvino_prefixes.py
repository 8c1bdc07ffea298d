"""Prompts that begin alike: what the cache keeps is computed once, and nobody gets another's tokens."""

import time

import torch
import transformers

from models import weights
from models.engines.interface import Generation
from models.engines.openvino import OpenVino
from models.engines.openvino_prefixes import SharedPrefixes
from tests.models.engines.helpers import sampling, tokens

TEXT = (weights.PROJECT / "benchmarks" / "alice.txt").read_text(encoding="utf-8")
SURELY_WRONG = 1.0
"""Of a logit: rounding moves one by at most 0.3, and a token chosen from another's cache was seen to lack 3 to 17."""


def asked(*prompt_ids: int) -> Generation:
    return Generation(prompt_ids, sampling(max_tokens=3))


def started(engine: OpenVino, prompt_ids: list[int], max_tokens: int) -> Generation:
    generation = Generation(prompt_ids, sampling(max_tokens=max_tokens))
    engine.submit(generation)
    return generation


def lack(float32: transformers.PreTrainedModel, generation: Generation) -> float:
    """How far the logits of the generated tokens lie below the largest ones, at most."""
    chosen = tokens(generation)
    with torch.inference_mode():
        logits = float32(torch.tensor([generation.prompt_ids + chosen]), logits_to_keep=len(chosen) + 1).logits[0, :-1]
    return (logits.max(dim=-1).values - logits[torch.arange(len(chosen)), torch.tensor(chosen)]).max().item()


def test_prompts_without_a_common_beginning_are_prefilled_at_once() -> None:
    prefixes = SharedPrefixes(100)
    assert all(prefixes.may_prefill(asked(first, 2, 3)) for first in range(10))


def test_prompts_that_only_begin_alike_are_prefilled_at_once() -> None:
    """A system prompt that was never a whole prompt: only full blocks of it are shared."""
    prefixes = SharedPrefixes(100)
    assert all(prefixes.may_prefill(asked(1, 2, 3, last)) for last in range(10))


def test_two_that_go_on_from_an_earlier_prompt_are_prefilled_one_after_the_other() -> None:
    prefixes = SharedPrefixes(100)
    assert prefixes.may_prefill(asked(1, 2))
    prefixes.keep([])
    first, second = asked(1, 2, 3), asked(1, 2, 4)
    assert prefixes.may_prefill(first)
    assert not prefixes.may_prefill(second)
    prefixes.keep([first])
    assert not prefixes.may_prefill(second)
    prefixes.keep([])
    assert prefixes.may_prefill(second)


def test_one_that_goes_on_from_a_prompt_being_prefilled_waits_for_it() -> None:
    prefixes = SharedPrefixes(100)
    assert prefixes.may_prefill(asked(1, 2))
    assert not prefixes.may_prefill(asked(1, 2, 3))


def test_equal_prompts_are_prefilled_at_once() -> None:
    prefixes = SharedPrefixes(100)
    assert all(prefixes.may_prefill(asked(1, 2)) for _ in range(3))


def test_prompts_older_than_the_cache_are_forgotten() -> None:
    prefixes = SharedPrefixes(2)
    assert all(prefixes.may_prefill(asked(first)) for first in range(3))
    prefixes.keep([])
    assert all(prefixes.may_prefill(asked(0, last)) for last in range(2))
    assert len(prefixes._prompts) == 2


def test_branches_of_one_conversation_at_once_get_their_own_tokens(
    openvino: OpenVino, float32: transformers.PreTrainedModel
) -> None:
    token_ids = openvino.encode(TEXT)
    for end in (76, 301):  # the last block of 32 is partly filled
        begun = token_ids[:end]
        said = tokens(started(openvino, begun, max_tokens=3))
        branches = [begun + said + token_ids[100 * number :][: 5 + number] for number in range(12)]
        running = [started(openvino, branch, max_tokens=2) for branch in branches]
        assert max(lack(float32, generation) for generation in running) < SURELY_WRONG


def test_many_of_the_same_prompt_at_once_get_its_tokens(
    openvino: OpenVino, float32: transformers.PreTrainedModel
) -> None:
    prompt = openvino.encode(TEXT)[200:275]
    for _ in range(2):
        running = [started(openvino, prompt, max_tokens=8) for _ in range(8)]
        assert max(lack(float32, generation) for generation in running) < SURELY_WRONG


def test_a_prompt_cancelled_in_its_prefill_leaves_no_half_computed_block(
    openvino: OpenVino, float32: transformers.PreTrainedModel
) -> None:
    token_ids = openvino.encode(TEXT)
    for first in range(1000, 1005):
        beside = [started(openvino, token_ids[100 * number :][:40], max_tokens=200) for number in range(3)]
        for generation in beside:
            next(iter(generation))
        prompt = [first, *token_ids[:1200]]
        cancelled = started(openvino, prompt, max_tokens=1)
        time.sleep(0.15)  # some of its 1,201 tokens are computed
        cancelled.cancel()
        for generation in beside:
            generation.cancel()
        time.sleep(0.1)
        cut = [started(openvino, prompt[:end], max_tokens=2) for end in (258, 514, 770)]
        assert max(lack(float32, generation) for generation in cut) < SURELY_WRONG


def test_a_shared_system_prompt_is_computed_once(openvino: OpenVino) -> None:
    def seconds_to_the_first_token(prompt_ids: list[int]) -> float:
        asked_at = time.monotonic()
        tokens(started(openvino, prompt_ids, max_tokens=1))
        return time.monotonic() - asked_at

    token_ids = openvino.encode(TEXT)
    system = token_ids[900:1900]
    first = seconds_to_the_first_token(system + token_ids[:20])
    later = [seconds_to_the_first_token(system + token_ids[start : start + 20]) for start in (50, 100, 150)]
    assert min(later) < first / 3
