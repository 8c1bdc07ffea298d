"""What every engine must do: run many generations, each with its own parameters, cancel at once, and lose none.

Some tests break a private part of an engine (its model, its pipeline), because no input makes a real one fail; others
read what still runs, which no caller can see.
"""

import threading
import time
from pathlib import Path

import psutil
import pytest
import torch
from transformers import AutoModelForCausalLM

from models import runtimes
from models.errors import EngineError
from models.tasks.text_generation import engines
from models.tasks.text_generation.engines import memory
from models.tasks.text_generation.engines import openvino as openvino_engine
from models.tasks.text_generation.engines.interface import Engine, Generation, State
from models.tasks.text_generation.engines.openvino import OpenVino
from models.tasks.text_generation.engines.transformers import Transformers
from models.tasks.text_generation.manifest import EngineChoice, Manifest
from models.tasks.text_generation.model_text import ModelText
from tests.template.models.tasks.text_generation.engines.helpers import (
    MODEL,
    TEXT,
    choice_of,
    count_running,
    encoded,
    out_of_memory,
    sampling,
    started,
    submitted,
    tokens,
)
from tests.template.server.live_server import eventually


@pytest.mark.parametrize(("asked", "why"), [("openvino", "as ENGINE asks"), ("", "the first of the manifest")])
def test_the_log_says_why_an_engine_was_chosen(
    asked: str, why: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENGINE", asked)
    monkeypatch.setattr(runtimes, "_Verification", out_of_memory)  # nothing is loaded
    with pytest.raises(RuntimeError):
        runtimes.start(MODEL, lambda choice, folder: None)
    assert f", {why}" in capsys.readouterr().out


def test_the_capital_of_france_is_paris(real: OpenVino) -> None:
    """The two most likely first tokens are close: a computation that rounds too much answers something else."""
    text = ModelText(real.folder, MODEL)
    question = [{"role": "user", "content": "What is the capital of France?"}]
    prompt_ids = text.chat_ids(question, None, {}, "prompt")
    assert "Paris" in text.tokenizer.decode(tokens(started(real, prompt_ids)))


def test_concurrent_generations_each_end_at_their_own_length(engine: Engine) -> None:
    lengths = [1, 2, 5, 9, 14, 20, 27, 33]
    running = [submitted(engine, f"Number {length} is", max_tokens=length) for length in lengths]
    assert [len(tokens(generation)) for generation in running] == lengths
    assert {generation.state for generation in running} == {State.CUT}


@pytest.mark.slow
def test_a_seed_repeats_and_another_differs(engine: Engine) -> None:
    first, again, other = (
        tokens(submitted(engine, "Once upon a time", temperature=1.5, seed=seed)) for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_greedy_is_the_same_whatever_the_seed(engine: Engine) -> None:
    first, second = (tokens(submitted(engine, "Once upon a time", seed=seed)) for seed in (1, 2))
    assert first == second


def test_top_k_1_is_greedy(engine: Engine) -> None:
    greedy = tokens(submitted(engine, "The sea is"))
    assert tokens(submitted(engine, "The sea is", temperature=1, top_k=1)) == greedy


@pytest.mark.slow
def test_top_p_near_zero_is_greedy(engine: Engine) -> None:
    """The token may differ from the greedy one: logits are rounded to bfloat16, and two may be equal."""
    first, second, free = (
        tokens(submitted(engine, "The sea is", temperature=1, top_p=top_p, seed=seed))
        for top_p, seed in ((1e-4, 1), (1e-4, 2), (1, 2))
    )
    assert first == second != free
    assert first[:3] == tokens(submitted(engine, "The sea is"))[:3]


def test_a_repetition_penalty_makes_repetition_rare(real: OpenVino) -> None:
    text = "one two one two one two one two"
    plain, penalised = (tokens(submitted(real, text, repetition_penalty=penalty)) for penalty in (1, 10))
    assert len(set(penalised)) > len(set(plain))


def test_the_penalty_is_the_one_of_transformers_generate(
    transformers: Transformers, tiny: tuple[Manifest, EngineChoice, Path]
) -> None:
    prompt = encoded(transformers, "one two one two one two")
    model = AutoModelForCausalLM.from_pretrained(tiny[2], dtype=torch.float32)
    expected = model.generate(
        torch.tensor([prompt]), max_new_tokens=24, min_new_tokens=24, do_sample=False, repetition_penalty=1.5
    )[0, len(prompt) :].tolist()
    assert tokens(submitted(transformers, "one two one two one two", repetition_penalty=1.5)) == expected


def test_a_seed_repeats_a_text_whatever_runs_at_the_same_time(transformers: Transformers) -> None:
    alone = tokens(submitted(transformers, "Once upon a time", temperature=1, seed=7))
    beside = [submitted(transformers, f"Text {number}", temperature=1, seed=number) for number in range(6)]
    among = submitted(transformers, "Once upon a time", temperature=1, seed=7)
    assert tokens(among) == alone
    for generation in beside:
        tokens(generation)


def test_a_joining_generation_does_not_wait_for_the_running_one(engine: Engine) -> None:
    long = submitted(engine, "A long story about the sea:", max_tokens=400)
    next(iter(long))
    assert len(tokens(submitted(engine, "Short", max_tokens=3))) == 3
    long.cancel()
    tokens(long)
    assert long.state is State.CANCELLED  # it had not reached its end


def test_an_announced_generation_joins_at_the_next_step(openvino: OpenVino, monkeypatch: pytest.MonkeyPatch) -> None:
    steps, step = [], openvino._step
    monkeypatch.setattr(openvino, "_step", lambda: (steps.append(1), step()))

    def steps_until_submitted() -> int:
        openvino.announce()
        before = len(steps)
        for _ in range(6):  # each needs the GIL again, like a prediction of Cog
            time.sleep(0.0001)
        last = submitted(openvino, "Short", max_tokens=1)
        passed = len(steps) - before
        tokens(last)
        return passed

    long = submitted(openvino, "A long story about the sea:", max_tokens=400)
    next(iter(long))
    passed = min(steps_until_submitted() for _ in range(5))
    long.cancel()
    tokens(long)
    assert passed <= 1


def test_an_unannounced_generation_does_not_use_up_the_wait_for_an_announced_one(
    openvino: OpenVino, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_engine, "_ARRIVAL_SECONDS", 1)
    monkeypatch.setattr(openvino_engine, "_GATHER_SECONDS", 0.1)
    first = submitted(openvino, "Short", max_tokens=1)
    openvino.announce()
    time.sleep(0.3)
    assert first.state is State.WAITING
    second = submitted(openvino, "Short too", max_tokens=1)
    assert [len(tokens(generation)) for generation in (first, second)] == [1, 1]


def test_announced_generations_that_are_never_submitted_block_nobody(engine: Engine) -> None:
    running = submitted(engine, "A story about the sea:", max_tokens=20)
    while not running.has_ended:
        for _ in range(50):
            engine.announce()
        next(iter(running), None)
    assert len(tokens(submitted(engine, "Short", max_tokens=3))) == 3


def test_a_cancelled_reader_wakes_up_at_once(engine: Engine) -> None:
    def seconds_to_its_end() -> float:
        generation = submitted(engine, "A long story:", max_tokens=2000)
        next(iter(generation))
        asked = time.monotonic()
        threading.Thread(target=generation.cancel).start()
        tokens(generation)
        assert generation.state is State.CANCELLED
        return time.monotonic() - asked

    assert min(seconds_to_its_end() for _ in range(3)) < 0.1


def test_a_generation_cancelled_before_it_is_submitted_never_runs(engine: OpenVino | Transformers) -> None:
    generation, begun = Generation(encoded(engine, TEXT), sampling()), engine._count
    generation.cancel()
    engine.submit(generation)
    assert tokens(generation) == []
    assert generation.state is State.CANCELLED
    tokens(submitted(engine, "Another", max_tokens=1))
    assert engine._count == begun + 1


def test_a_generation_cancelled_in_its_prefill_is_not_prefilled_to_its_end(transformers: Transformers) -> None:
    beside = submitted(transformers, "A long story:", max_tokens=1500)
    next(iter(beside))
    cancelled = started(transformers, encoded(transformers, TEXT) * 4)  # four steps
    handed_over: list[list[int]] = []
    cancelled.put = handed_over.append  # type: ignore[method-assign]
    cancelled.cancel()
    eventually(lambda: count_running(transformers) == 1, "the cancelled one to leave the batch")
    assert handed_over == []
    beside.cancel()
    tokens(beside)


@pytest.mark.slow
def test_a_slow_reader_does_not_slow_down_others(engine: Engine) -> None:
    unread = submitted(engine, "Nobody reads this:", max_tokens=60)
    assert len(tokens(submitted(engine, "Somebody reads this:", max_tokens=60))) == 60
    assert len(tokens(unread)) == 60


@pytest.mark.slow  # a prefill each
def test_a_thousand_cancellations_leak_nothing(engine: Engine) -> None:
    process = psutil.Process()

    def cancel(count: int) -> int:
        for _ in range(count // 20):
            running = [submitted(engine, f"Story {number}:", max_tokens=500) for number in range(20)]
            for generation in running:
                next(iter(generation))
                generation.cancel()
        tokens(submitted(engine, "The end", max_tokens=8))
        resident: int = process.memory_info().rss
        return resident

    before = cancel(200)
    after = cancel(1000)
    assert after - before < 50e6
    assert count_running(engine) == 0


def test_the_cache_leaves_the_memory_that_the_weights_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "openvino_model.bin").write_bytes(bytes(10**8))
    monkeypatch.setattr(memory, "free_bytes", lambda device: 10**8)
    with pytest.raises(EngineError, match=r"^0 MB free on cpu beside the weights leave no room"):
        engines.load(MODEL, choice_of(MODEL, "openvino"), tmp_path)


@pytest.mark.slow
def test_generations_beyond_the_cache_wait_their_turn(tiny_openvino: tuple[Manifest, EngineChoice, Path]) -> None:
    model, choice, folder = tiny_openvino
    engine = engines.load(model, choice.model_copy(update={"cache_gb": 0.00035}), folder)
    assert engine.cache_tokens < 400
    running = [started(engine, [5] * 100, max_tokens=60) for _ in range(6)]
    assert [len(tokens(generation)) for generation in running] == [60] * 6


@pytest.mark.slow
def test_a_generation_evicted_from_a_full_cache_continues_when_the_others_are_cancelled(
    tiny: tuple[Manifest, EngineChoice, Path],
) -> None:
    model, choice, folder = tiny
    small = choice.model_copy(update={"cache_gb": 0.0005})
    engine: Transformers = engines.load(model, small, folder)
    try:
        assert engine.cache_tokens == 1024
        for _ in range(2):
            started(engine, [5] * 400, max_tokens=400)
        scheduler = engine._manager.batch_processor.scheduler
        eventually(lambda: scheduler.block_new_requests, "one of two to be sent back")
        for request_id in list(scheduler.active_requests):
            engine._running[request_id].generation.cancel()
        later = submitted(engine, "Again", max_tokens=5)
        eventually(lambda: not engine._running, "the one that was sent back, and a later one, to end")
        assert len(tokens(later)) == 5
    finally:
        engine.stop()


def test_any_of_several_end_tokens_ends_the_text_and_is_not_part_of_it(engine: Engine) -> None:
    endless = tokens(submitted(engine, "The sea is", max_tokens=12))
    second = next(token_id for token_id in endless if token_id != endless[0])
    generation = submitted(engine, "The sea is", max_tokens=12, end_ids=frozenset({second, 0}))
    assert tokens(generation) == endless[: endless.index(second)]
    assert generation.state is State.STOPPED
