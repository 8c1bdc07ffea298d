"""The text-generation task with an engine whose answer is written in the test: what is refused, counted and told."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import pytest

from models.cancellation import Cancellation
from models.engines.interface import Generation, Message
from models.errors import EngineError, InputError
from models.tasks.text_generation import Request, TextGeneration

CONTEXT = 100


class ScriptedEngine:
    """An engine whose tokens are UTF-8 bytes, and which answers every generation with the same steps."""

    name, device, dtype = "openvino", "cpu", "float16"

    def __init__(self, *steps: Any) -> None:
        self.steps = steps
        self.submitted: list[Generation] = []
        self.conversation: list[Message] = []

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def decode(self, token_ids: Sequence[int]) -> str:
        return bytes(token_ids).decode("utf-8", "replace")

    def chat_text(self, messages: Sequence[Message]) -> str:
        self.conversation = list(messages)
        return "".join(f"{message['role']}: {message['content']}\n" for message in messages)

    def submit(self, generation: Generation) -> None:
        self.submitted.append(generation)
        for step in self.steps:
            if isinstance(step, Exception):
                generation.fail(step)
            elif step in ("stop", "length"):
                generation.finish(step)
            else:
                generation.put(list(step))


def generate(engine: ScriptedEngine, request: Request, system_prompt: str | None = None) -> tuple[str, dict[str, Any]]:
    """The whole output and the metrics."""
    metrics: dict[str, Any] = {}
    pieces = TextGeneration(engine, CONTEXT, system_prompt).generate(request, Cancellation(), metrics.__setitem__)
    return "".join(pieces), metrics


USER = {"role": "user", "content": "Hi"}


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(), "prompt is empty: send a prompt, or messages"),
        (Request(prompt=""), "prompt is empty: send a prompt, or messages"),
        (Request(prompt="Hi", messages=[USER]), "prompt and messages exclude each other"),
        (Request(raw=True, messages=[USER]), "raw continues prompt as it is: leave out messages and system_prompt"),
        (Request(raw=True, prompt="Hi", system_prompt="Be brief."), "raw continues prompt as it is"),
        (Request(raw=True), "prompt is empty"),
        (Request(messages=[]), "messages is empty: send at least one message with the role user"),
        (Request(messages=["Hi"]), "message 1 must be an object with role and content, and nothing else"),
        (Request(messages=[{"role": "user"}]), "message 1 must be an object with role and content"),
        (Request(messages=[USER | {"name": "Ada"}]), "message 1 must be an object with role and content"),
        (
            Request(messages=[USER, {"role": "tool", "content": "x"}]),
            "message 2 has the role 'tool': use one of",
        ),
        (Request(messages=[{"role": "user", "content": ""}]), "message 1 needs a text as its content"),
        (Request(messages=[{"role": "user", "content": 5}]), "message 1 needs a text as its content"),
        (Request(messages=[USER, {"role": "system", "content": "x"}]), "message 2 has the role system: only the first"),
        (Request(messages=[USER, {"role": "assistant", "content": "x"}]), "the last message must have the role user"),
        (Request(messages=[{"role": "system", "content": "x"}]), "the last message must have the role user"),
        (
            Request(messages=[{"role": "system", "content": "x"}, USER], system_prompt="Be brief."),
            "system_prompt and a message with the role system exclude each other",
        ),
        (Request(prompt="Hi", stop=["a", ""]), "stop holds an empty string: leave it out"),
        (
            Request(prompt="x" * CONTEXT, raw=True),
            "the prompt has 100 tokens and 100 fit, answer included: shorten it to at most 99",
        ),
    ],
)
def test_an_input_that_cannot_be_answered_is_refused_before_the_engine_runs(request_: Request, message: str) -> None:
    engine = ScriptedEngine(b"x", "stop")
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        generate(engine, request_)
    assert engine.submitted == []


@pytest.mark.parametrize(("asked", "given"), [(10, 10), (60, 60), (61, 60), (131072, 60)])
def test_max_tokens_is_cut_to_the_room_left(asked: int, given: int) -> None:
    engine = ScriptedEngine("length")
    generate(engine, Request(prompt="x" * 40, raw=True, max_tokens=asked))
    assert engine.submitted[0].sampling.max_tokens == given


def test_one_token_of_room_is_enough() -> None:
    assert generate(ScriptedEngine(b"y", "length"), Request(prompt="x" * 99, raw=True))[0] == "y"


@pytest.mark.parametrize("seed", [0, 7, 4294967295])
def test_a_given_seed_is_used_and_told(seed: int) -> None:
    engine = ScriptedEngine("stop")
    _, metrics = generate(engine, Request(prompt="Hi", seed=seed))
    assert engine.submitted[0].sampling.seed == metrics["seed"] == seed


def test_without_a_seed_each_prediction_has_its_own_random_one() -> None:
    engine = ScriptedEngine("stop")
    told = [generate(engine, Request(prompt="Hi"))[1]["seed"] for _ in range(8)]
    assert [generation.sampling.seed for generation in engine.submitted] == told
    assert len(set(told)) > 1
    assert all(0 <= seed < 2**32 for seed in told)


def test_the_other_sampling_inputs_reach_the_engine_as_they_are() -> None:
    engine = ScriptedEngine("stop")
    generate(engine, Request(prompt="Hi", temperature=0.0, top_p=0.5, top_k=0, repetition_penalty=1.5))
    sampling = engine.submitted[0].sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.repetition_penalty) == (0.0, 0.5, 0, 1.5)


@pytest.mark.parametrize(
    ("request_", "default", "conversation"),
    [
        (Request(prompt="Hi"), None, [USER]),
        (Request(prompt="Hi"), "Default.", [{"role": "system", "content": "Default."}, USER]),
        (Request(prompt="Hi", system_prompt="Mine."), "Default.", [{"role": "system", "content": "Mine."}, USER]),
        (Request(messages=[USER], system_prompt=""), "Default.", [{"role": "system", "content": ""}, USER]),
        (
            Request(messages=[{"role": "system", "content": "Own."}, USER]),
            "Default.",
            [{"role": "system", "content": "Own."}, USER],
        ),
        (Request(prompt="Hi", raw=True), "Default.", []),
    ],
)
def test_the_conversation_begins_with_the_callers_system_prompt_or_the_models(
    request_: Request, default: str | None, conversation: list[Message]
) -> None:
    engine = ScriptedEngine("stop")
    generate(engine, request_, default)
    assert engine.conversation == conversation


def test_raw_continues_the_prompt_as_it_is() -> None:
    engine = ScriptedEngine("stop")
    generate(engine, Request(prompt="Water boils at", raw=True), "Default.")
    assert engine.decode(engine.submitted[0].prompt_ids) == "Water boils at"


def test_a_text_that_ends_by_itself_is_told_as_stop_with_its_measures() -> None:
    output, metrics = generate(ScriptedEngine(b"one", b" two", "stop"), Request(prompt="Hi", raw=True, seed=1))
    assert output == "one two"
    assert metrics.pop("time_to_first_token") >= 0
    assert metrics.pop("tokens_per_second") > 0
    assert metrics == {
        "input_token_count": 2,
        "output_token_count": 7,
        "finish_reason": "stop",
        "seed": 1,
        "engine": "openvino",
        "device": "cpu",
    }


def test_a_text_that_is_cut_is_told_as_length_and_keeps_its_last_half_character() -> None:
    output, metrics = generate(ScriptedEngine(b"caf\xc3", "length"), Request(prompt="Hi"))
    assert (output, metrics["finish_reason"]) == ("caf\ufffd", "length")


def test_no_tokens_at_all_make_an_empty_text_without_times() -> None:
    output, metrics = generate(ScriptedEngine("stop"), Request(prompt="Hi"))
    assert (output, metrics["output_token_count"], metrics["finish_reason"]) == ("", 0, "stop")
    assert "time_to_first_token" not in metrics
    assert "tokens_per_second" not in metrics


def test_a_stop_string_ends_the_text_and_the_engines_work() -> None:
    engine = ScriptedEngine(b"one ST", b"OP two", b"three", "length")
    output, metrics = generate(engine, Request(prompt="Hi", stop=["STOP"]))
    assert (output, metrics["finish_reason"], metrics["output_token_count"]) == ("one ", "stop", 12)
    assert not engine.submitted[0].wanted


def test_what_a_stop_string_held_back_comes_at_the_end() -> None:
    assert generate(ScriptedEngine(b"one STO", "length"), Request(prompt="Hi", stop=["STOP"]))[0] == "one STO"


def test_cancelling_ends_the_text_and_the_engines_work_and_is_told() -> None:
    engine, signal, metrics = ScriptedEngine(b"one"), Cancellation(), {}
    pieces = TextGeneration(engine, CONTEXT).generate(Request(prompt="Hi"), signal, metrics.__setitem__)
    assert next(pieces) == "one"
    signal.request()
    with pytest.raises(asyncio.CancelledError):
        next(pieces)
    assert (metrics["finish_reason"], metrics["output_token_count"]) == ("cancelled", 3)
    assert not engine.submitted[0].wanted


def test_a_prediction_that_was_cancelled_before_it_began_gives_nothing() -> None:
    signal = Cancellation()
    signal.request()
    pieces = TextGeneration(ScriptedEngine(b"one", "stop"), CONTEXT).generate(
        Request(prompt="Hi"), signal, lambda *_: None
    )
    with pytest.raises(asyncio.CancelledError):
        next(pieces)


def test_a_reader_that_leaves_ends_the_engines_work() -> None:
    engine, metrics = ScriptedEngine(b"one"), {}
    pieces = TextGeneration(engine, CONTEXT).generate(Request(prompt="Hi"), Cancellation(), metrics.__setitem__)
    next(pieces)
    pieces.close()
    assert not engine.submitted[0].wanted
    assert metrics["finish_reason"] == "cancelled"


def test_an_engine_that_fails_surfaces_as_an_engine_error() -> None:
    engine, metrics = ScriptedEngine(b"one", RuntimeError("out of memory")), {}
    pieces = TextGeneration(engine, CONTEXT).generate(Request(prompt="Hi"), Cancellation(), metrics.__setitem__)
    assert next(pieces) == "one"
    with pytest.raises(EngineError, match=r"^the engine failed while it generated: out of memory$"):
        next(pieces)
    assert not engine.submitted[0].wanted
    assert metrics["output_token_count"] == 3
    assert "finish_reason" not in metrics
