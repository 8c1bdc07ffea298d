"""The complete task with a model whose turn ends with a second end token, on both engines and from both formats."""

from pathlib import Path
from typing import Any

import pytest
import torch

from models import runtimes
from models.cancellation import Cancellation
from models.tasks.text_generation import TextGeneration, engines
from models.tasks.text_generation.manifest import Architecture, EngineChoice
from models.tasks.text_generation.model_text import ModelText
from tests import tiny_models, tiny_tokenizers
from tests.template.models.tasks.text_generation.engines.helpers import MODEL
from tests.template.models.tasks.text_generation.texts import request

KIND = "byte-level"
PROMPT = "Why is the sea salty?"
SHAPE = Architecture(layers=2, kv_heads=2, head_dim=64)
TINY = MODEL.model_copy(update={"architecture": SHAPE, "system_prompt": None, "context_length": 512})


@pytest.fixture(scope="module")
def answer() -> list[int]:
    """The model's greedy text in transformers and float32, without end tokens."""
    text = f"<s>user: {PROMPT}<|end|>\nassistant: "
    prompt = torch.tensor([tiny_tokenizers.build(KIND).encode(text).ids])
    model = tiny_models.model("llama", KIND)
    generated = model.generate(prompt, max_new_tokens=8, do_sample=False, eos_token_id=None, pad_token_id=0)
    token_ids: list[int] = generated[0, prompt.shape[1] :].tolist()
    assert len(set(token_ids[:4])) == 4
    return token_ids


@pytest.mark.parametrize(
    ("engine", "dtype", "form"),
    [
        ("transformers", "float32", "safetensors"),
        ("transformers", "float32", "gguf"),
        ("openvino", "float16", "gguf"),
    ],
)
def test_the_models_second_end_token_ends_a_turn(
    engine: str, dtype: str, form: str, answer: list[int], tmp_path: Path
) -> None:
    second = answer[3]
    if form == "safetensors":
        folder = tiny_models.safetensors(tmp_path, "llama", KIND)
        (folder / "generation_config.json").write_text(f'{{"bos_token_id": 1, "eos_token_id": [2, {second}]}}')
    else:
        file = tiny_models.gguf(tmp_path / "model.gguf", "llama", KIND, eot_token_id=second)
        folder = tmp_path / engine
        folder.mkdir()
        runtimes.module(engine).convert(file, folder, dtype)
    choice = EngineChoice.model_validate({"engine": engine, "device": "cpu", "dtype": dtype, "cache_gb": 0.01})
    started = engines.load(TINY, choice, folder)
    metrics: dict[str, Any] = {}
    model = TextGeneration(started, ModelText(folder, TINY), 512)
    inputs = request(prompt=PROMPT, temperature=0, max_tokens=8)
    text = "".join(model.generate(inputs, Cancellation(), metrics.__setitem__))
    if engine == "transformers":
        started.stop()
    assert text == tiny_tokenizers.build(KIND).decode(answer[:3])
    assert (metrics["finish_reason"], metrics["output_token_count"]) == ("stop", 3)
