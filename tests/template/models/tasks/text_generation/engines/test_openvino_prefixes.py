"""The prompts that OpenVINO's engine prefills at the same time."""

from models.tasks.text_generation.engines.interface import Generation
from models.tasks.text_generation.engines.openvino_prefixes import SharedPrefixes
from tests.template.models.tasks.text_generation.engines.helpers import sampling


def asked(*prompt_ids: int) -> Generation:
    return Generation(prompt_ids, sampling(max_tokens=3))


def test_prompts_without_a_common_beginning_are_prefilled_together() -> None:
    prefixes = SharedPrefixes(100)
    assert all(prefixes.may_prefill(asked(first, 2, 3)) for first in range(10))


def test_prompts_that_only_begin_alike_are_prefilled_together() -> None:
    """A system prompt that was never a complete prompt: only its full blocks are shared."""
    prefixes = SharedPrefixes(100)
    assert all(prefixes.may_prefill(asked(1, 2, 3, last)) for last in range(10))


def test_two_prompts_that_continue_an_earlier_prompt_are_prefilled_one_after_the_other() -> None:
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


def test_a_prompt_that_continues_one_being_prefilled_waits_for_it() -> None:
    prefixes = SharedPrefixes(100)
    assert prefixes.may_prefill(asked(1, 2))
    assert not prefixes.may_prefill(asked(1, 2, 3))


def test_equal_prompts_are_prefilled_together() -> None:
    prefixes = SharedPrefixes(100)
    assert all(prefixes.may_prefill(asked(1, 2)) for _ in range(3))


def test_prompts_older_than_the_cache_are_forgotten() -> None:
    prefixes = SharedPrefixes(2)
    assert all(prefixes.may_prefill(asked(first)) for first in range(3))
    prefixes.keep([])
    assert all(prefixes.may_prefill(asked(0, last)) for last in range(2))
    assert len(prefixes._prompts) == 2
