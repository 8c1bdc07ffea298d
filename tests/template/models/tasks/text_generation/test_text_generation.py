"""The text-generation task with an engine that plays back tokens: what it refuses, counts and reports."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from models.cancellation import Cancellation
from models.errors import EngineError, InputError
from models.tasks.text_generation import Request, TextGeneration
from models.tasks.text_generation.engines.interface import Generation, State
from models.tasks.text_generation.model_text import ModelText
from tests.template.models.tasks.text_generation.texts import END, byte_text, request

CONTEXT = 100


class ScriptedEngine:
    """An engine whose tokens are UTF-8 bytes; it gives every generation the same steps."""

    name, device, dtype = "openvino", "cpu", "float16"

    cache_tokens = 1000

    def __init__(self, *steps: Any) -> None:
        self.steps = steps
        self.submitted: list[Generation] = []

    @property
    def prompt(self) -> str:
        """The prompt of the last generation."""
        return bytes(self.submitted[-1].prompt_ids).decode()

    def submit(self, generation: Generation) -> None:
        self.submitted.append(generation)
        for step in self.steps:
            if isinstance(step, Exception):
                generation.fail(step)
            elif step in ("stop", "length"):
                generation.finish(State(step))
            else:
                generation.put(list(step))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> ModelText:
    return byte_text(tmp_path_factory.mktemp("text"))


def model(engine: ScriptedEngine, text: ModelText) -> TextGeneration:
    return TextGeneration(engine, text, CONTEXT)  # type: ignore[arg-type]


def generate(engine: ScriptedEngine, text: ModelText, inputs: Request) -> tuple[str, dict[str, Any]]:
    """The complete output and the metrics."""
    metrics: dict[str, Any] = {}
    pieces = model(engine, text).generate(inputs, Cancellation(), metrics.__setitem__)
    return "".join(pieces), metrics


USER = {"role": "user", "content": "Hi"}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (request(), "prompt is empty: send a prompt, or messages"),
        (request(prompt=""), "prompt is empty: send a prompt, or messages"),
        (request(prompt="Hi", messages=[USER]), "prompt and messages exclude each other"),
        (request(raw=True, messages=[USER]), "raw continues prompt as it is: leave out messages, system_prompt and"),
        (request(raw=True, prompt="Hi", system_prompt="Be brief."), "raw continues prompt as it is"),
        (request(raw=True), "prompt is empty"),
        (request(messages=[]), "messages is empty: send at least one message with the role user"),
        (request(messages=["Hi"]), 'message 1 must be an object with role and content, like {"role": "user", '),
        (request(messages=[{"content": "Hi"}]), "message 1 must be an object with role and content"),
        (request(messages=[{"role": "user"}]), "message 1 must be an object with role and content"),
        (request(messages=[{"role": ["user"], "content": "Hi"}]), "message 1 has the role ['user']"),
        (request(messages=[USER, {"role": "robot", "content": "x"}, USER]), "message 2 has the role 'robot'"),
        (request(messages=[{"role": "user", "content": ""}]), "message 1 needs a text as its content"),
        (request(messages=[{"role": "user", "content": 5}]), "message 1 needs a text as its content"),
        (request(messages=[USER, {"role": "system", "content": "x"}]), "message 2 has the role system: only the first"),
        (
            request(messages=[USER, {"role": "assistant", "content": "x"}]),
            "the last message must have the role user, or another",
        ),
        (
            request(messages=[{"role": "system", "content": "x"}]),
            "the last message must have the role user, or another",
        ),
        (
            request(messages=[{"role": "system", "content": "x"}, USER], system_prompt="Be brief."),
            "system_prompt and a message with the role system exclude each other",
        ),
        (request(prompt="Hi", stop=["a", ""]), "stop holds an empty string: leave it out"),
        (
            request(prompt="x" * CONTEXT, raw=True),
            "the prompt has 100 tokens and 100 fit, answer included: shorten it to at most 99",
        ),
    ],
)
def test_an_input_that_cannot_be_answered_is_refused_before_the_engine_runs(
    inputs: Request, message: str, text: ModelText
) -> None:
    engine = ScriptedEngine(b"x", "stop")
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        generate(engine, text, inputs)
    assert engine.submitted == []


@pytest.mark.parametrize(("asked", "given"), [(10, 10), (60, 60), (61, 60), (131072, 60)])
def test_max_tokens_is_reduced_to_the_remaining_context(asked: int, given: int, text: ModelText) -> None:
    engine = ScriptedEngine("length")
    generate(engine, text, request(prompt="x" * 40, raw=True, max_tokens=asked))
    assert engine.submitted[0].sampling.max_tokens == given


def test_a_prompt_larger_than_the_cache_is_refused_with_the_cache_as_the_reason(text: ModelText) -> None:
    engine = ScriptedEngine("length")
    engine.cache_tokens = 50
    with pytest.raises(
        InputError, match=r"60 tokens and 50 fit \(the model takes 100, the server's cache_gb is less\)"
    ):
        generate(engine, text, request(prompt="x" * 60, raw=True))


def test_room_for_one_token_is_enough(text: ModelText) -> None:
    assert generate(ScriptedEngine(b"y", "length"), text, request(prompt="x" * 99, raw=True))[0] == "y"


@pytest.mark.parametrize("seed", [0, 7, 4294967295])
def test_a_given_seed_is_used_and_reported(seed: int, text: ModelText) -> None:
    engine = ScriptedEngine("stop")
    _, metrics = generate(engine, text, request(prompt="Hi", seed=seed))
    assert engine.submitted[0].sampling.seed == metrics["seed"] == seed


def test_without_a_seed_each_prediction_has_its_own_random_one(text: ModelText) -> None:
    engine = ScriptedEngine("stop")
    seeds = [generate(engine, text, request(prompt="Hi"))[1]["seed"] for _ in range(8)]
    assert [generation.sampling.seed for generation in engine.submitted] == seeds
    assert len(set(seeds)) > 1
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_the_other_sampling_inputs_reach_the_engine_unchanged(text: ModelText) -> None:
    engine = ScriptedEngine("stop")
    generate(engine, text, request(prompt="Hi", temperature=0.0, top_p=0.5, top_k=0, repetition_penalty=1.5))
    sampling = engine.submitted[0].sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.repetition_penalty) == (0.0, 0.5, 0, 1.5)


@pytest.mark.parametrize(
    ("inputs", "default", "prompt"),
    [
        (request(prompt="Hi"), None, "user: Hi\n"),
        (request(prompt="Hi"), "Default.", "system: Default.\nuser: Hi\n"),
        (request(prompt="Hi", system_prompt="Mine."), "Default.", "system: Mine.\nuser: Hi\n"),
        (request(messages=[USER], system_prompt=""), "Default.", "system: \nuser: Hi\n"),
        (
            request(messages=[{"role": "system", "content": "Own."}, USER]),
            "Default.",
            "system: Own.\nuser: Hi\n",
        ),
        (request(prompt="Hi", raw=True), "Default.", "Hi"),
    ],
)
def test_the_conversation_begins_with_the_callers_system_prompt_or_the_models(
    inputs: Request, default: str | None, prompt: str, tmp_path: Path
) -> None:
    engine = ScriptedEngine("stop")
    generate(engine, byte_text(tmp_path, system_prompt=default), inputs)
    assert engine.prompt == prompt


def test_the_engine_gets_the_tokens_that_end_an_answer(text: ModelText) -> None:
    engine = ScriptedEngine("stop")
    generate(engine, text, request(prompt="Hi"))
    assert engine.submitted[0].sampling.end_ids == {END}


def test_a_text_that_the_model_ends_is_reported_as_stop_with_its_metrics(text: ModelText) -> None:
    output, metrics = generate(ScriptedEngine(b"one", b" two", "stop"), text, request(prompt="Hi", raw=True, seed=1))
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


def test_a_text_that_is_cut_is_reported_as_length_and_keeps_its_incomplete_character(text: ModelText) -> None:
    output, metrics = generate(ScriptedEngine(b"caf\xc3", "length"), text, request(prompt="Hi"))
    assert (output, metrics["finish_reason"]) == ("caf\ufffd", "length")


def test_no_tokens_at_all_make_an_empty_text_without_times(text: ModelText) -> None:
    output, metrics = generate(ScriptedEngine("stop"), text, request(prompt="Hi"))
    assert (output, metrics["output_token_count"], metrics["finish_reason"]) == ("", 0, "stop")
    assert "time_to_first_token" not in metrics
    assert "tokens_per_second" not in metrics


def test_a_stop_string_ends_the_text_and_the_generation(text: ModelText) -> None:
    engine = ScriptedEngine(b"one ST", b"OP two", b"three", "length")
    output, metrics = generate(engine, text, request(prompt="Hi", stop=["STOP"]))
    assert (output, metrics["finish_reason"], metrics["output_token_count"]) == ("one ", "stop", 12)
    assert engine.submitted[0].has_ended


def test_text_held_back_for_a_stop_string_is_sent_at_the_end(text: ModelText) -> None:
    assert generate(ScriptedEngine(b"one STO", "length"), text, request(prompt="Hi", stop=["STOP"]))[0] == "one STO"


def test_cancelling_ends_the_text_and_the_generation_and_is_reported(text: ModelText) -> None:
    engine, signal, metrics = ScriptedEngine(b"one"), Cancellation(), {}
    pieces = model(engine, text).generate(request(prompt="Hi"), signal, metrics.__setitem__)
    assert next(pieces) == "one"
    signal.request()
    with pytest.raises(asyncio.CancelledError):
        next(pieces)
    assert (metrics["finish_reason"], metrics["output_token_count"]) == ("cancelled", 3)
    assert engine.submitted[0].has_ended


def test_a_prediction_cancelled_before_it_begins_has_no_output(text: ModelText) -> None:
    signal = Cancellation()
    signal.request()
    pieces = model(ScriptedEngine(b"one", "stop"), text).generate(request(prompt="Hi"), signal, lambda *_: None)
    with pytest.raises(asyncio.CancelledError):
        next(pieces)


def test_a_reader_that_stops_ends_the_generation(text: ModelText) -> None:
    engine, metrics = ScriptedEngine(b"one"), {}
    pieces = model(engine, text).generate(request(prompt="Hi"), Cancellation(), metrics.__setitem__)
    next(pieces)
    pieces.close()
    assert engine.submitted[0].has_ended
    assert metrics["finish_reason"] == "cancelled"


def test_a_failure_of_the_engine_is_raised_as_an_engine_error(text: ModelText) -> None:
    engine, metrics = ScriptedEngine(b"one", RuntimeError("out of memory")), {}
    pieces = model(engine, text).generate(request(prompt="Hi"), Cancellation(), metrics.__setitem__)
    assert next(pieces) == "one"
    with pytest.raises(EngineError, match=r"^the engine failed while it generated: out of memory$"):
        next(pieces)
    assert engine.submitted[0].has_ended
    assert metrics["output_token_count"] == 3
    assert "finish_reason" not in metrics
