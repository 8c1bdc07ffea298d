"""Helpers of the engine tests: a generation in one line."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from models import manifest
from models.tasks.text_generation import model_files
from models.tasks.text_generation.engines.interface import Engine, Generation, Sampling
from models.tasks.text_generation.engines.openvino import OpenVino
from models.tasks.text_generation.engines.transformers import Transformers
from models.tasks.text_generation.manifest import EngineChoice, Manifest
from models.tasks.text_generation.tokenizer import Tokenizer

MODEL = manifest.selected()
TEXT = (manifest.PROJECT / "benchmarks" / "alice.txt").read_text(encoding="utf-8")
"""The beginning of Alice's Adventures in Wonderland (Lewis Carroll, 1865; public domain), 2,045 tokens."""


def sampling(**changes: Any) -> Sampling:
    values = {"max_tokens": 24, "temperature": 0, "top_p": 1, "top_k": 0, "repetition_penalty": 1, "seed": 1}
    return Sampling(**{**values, **changes})  # type: ignore[arg-type]


def submitted(engine: Engine, text: str, **changes: Any) -> Generation:
    return started(engine, encoded(engine, text), **changes)


def encoded(engine: Engine, text: str) -> list[int]:
    return _tokenizer(engine.folder).encode(text)


@cache
def _tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer(model_files.read(folder))


def started(engine: Engine, prompt_ids: Sequence[int], **changes: Any) -> Generation:
    generation = Generation(prompt_ids, sampling(**changes))
    engine.submit(generation)
    return generation


def tokens(generation: Generation) -> list[int]:
    """All tokens of a generation, up to its end."""
    return [token_id for part in generation for token_id in part]


def choice_of(model: Manifest, engine: str, device: str = "cpu") -> EngineChoice:
    return next(choice for choice in model.engines if (choice.engine, choice.device) == (engine, device))


def count_running(engine: Engine) -> int:
    """The generations that the engine still runs."""
    assert isinstance(engine, OpenVino | Transformers)
    return len(engine._running)


def out_of_memory(*_: object, **__: object) -> None:
    raise RuntimeError("CUDA out of memory")
