"""A step or a batch that fails, and an engine that cannot restart."""

from pathlib import Path

import pytest

from models.errors import EngineError
from models.tasks.text_generation import engines
from models.tasks.text_generation.engines.openvino import OpenVino
from models.tasks.text_generation.engines.transformers import Transformers
from models.tasks.text_generation.manifest import EngineChoice, Manifest
from tests.template.models.tasks.text_generation.engines.helpers import (
    count_running,
    out_of_memory,
    submitted,
    tokens,
)
from tests.template.server.live_server import eventually


def test_a_failed_step_fails_the_running_generations_and_the_next_one_works(openvino: OpenVino) -> None:
    generation = submitted(openvino, "A long story:", max_tokens=2000)
    next(iter(generation))
    openvino._pipeline = None  # the next step raises
    with pytest.raises(EngineError, match="the engine failed while it generated"):
        tokens(generation)
    assert len(tokens(submitted(openvino, "Again", max_tokens=5))) == 5
    assert openvino.is_healthy()


def test_an_engine_that_cannot_restart_is_unhealthy(tiny_openvino: tuple[Manifest, EngineChoice, Path]) -> None:
    engine: OpenVino = engines.load(*tiny_openvino)
    generation = submitted(engine, "A long story:", max_tokens=2000)
    next(iter(generation))
    folder, engine.folder = engine.folder, Path("/nonexistent")
    engine._pipeline = None
    with pytest.raises(EngineError):
        tokens(generation)
    engine.folder = folder  # the helpers read the tokenizer from there
    with pytest.raises(EngineError):
        tokens(submitted(engine, "Again"))
    assert not engine.is_healthy()


def test_a_failed_batch_fails_the_running_generations_and_the_next_one_works(
    breakable: Transformers, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = [submitted(breakable, f"A long story {number}:", max_tokens=1500) for number in range(3)]
    for generation in running:
        next(iter(generation))
    with monkeypatch.context() as broken:
        broken.setattr(breakable._model, "forward", out_of_memory)
        for generation in running:
            with pytest.raises(EngineError, match="out of memory"):
                tokens(generation)
    assert breakable.is_healthy()
    breakable._manager._generation_thread.join()
    assert len(tokens(submitted(breakable, "Again", max_tokens=5))) == 5


def test_a_second_failed_batch_is_reported(breakable: Transformers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breakable._model, "forward", out_of_memory)
    for healthy in (True, False):
        with pytest.raises(EngineError, match="out of memory"):
            tokens(submitted(breakable, "A story:"))
        breakable._manager._generation_thread.join()
        assert breakable.is_healthy() == healthy


def test_a_generation_submitted_while_a_batch_fails_gets_an_error(
    breakable: Transformers, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = breakable._manager
    running, put = submitted(breakable, "A long story:", max_tokens=1500), manager.input_queue.put
    next(iter(running))

    def put_too_late(*arguments: object, **options: object) -> None:
        with monkeypatch.context() as broken:
            broken.setattr(breakable._model, "forward", out_of_memory)
            manager._generation_thread.join()
        put(*arguments, **options)

    with monkeypatch.context() as late:
        late.setattr(manager.input_queue, "put", put_too_late)
        lost = submitted(breakable, "Another long story:", max_tokens=8000)
    assert count_running(breakable) == 0
    with pytest.raises(EngineError, match="still being cleared away: try again"):
        tokens(lost)
    assert len(tokens(submitted(breakable, "Again", max_tokens=5))) == 5
    eventually(lambda: not manager.batch_processor.has_pending_requests(), "the lost one to leave the batch", 2)
