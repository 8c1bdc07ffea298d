"""Quality stays: each engine against transformers in float32 on the very weights that were downloaded.

The text is the beginning of Alice's Adventures in Wonderland (Lewis Carroll, 1865; public domain), 2,045 tokens.
"""

import math
from typing import Any

import pytest
import torch
import transformers

from models import engines, manifest, weights
from models.engines.interface import Generation, Sampling
from models.engines.openvino import OpenVino
from scripts.weights import ensure

TEXT = (weights.PROJECT / "benchmarks" / "alice.txt").read_text(encoding="utf-8")
MODEL = manifest.selected()
WITHIN = 0.01
AGREEMENT = 0.96


def scores(model: Any, token_ids: list[int]) -> tuple[float, list[int]]:
    """Perplexity of a text, and the most likely next token after each of its tokens."""
    with torch.inference_mode():
        logits = model(torch.tensor([token_ids])).logits[0].float()
    loss = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(token_ids[1:]))
    return math.exp(loss.item()), logits.argmax(dim=-1).tolist()


@pytest.fixture(scope="module")
def token_ids() -> list[int]:
    tokenizer = transformers.AutoTokenizer.from_pretrained(weights.folder(MODEL.slug, "transformers"))
    token_ids: list[int] = tokenizer.encode(TEXT, add_special_tokens=False)
    assert len(token_ids) >= 2000
    return token_ids


@pytest.fixture(scope="module")
def reference(token_ids: list[int]) -> tuple[float, list[int]]:
    source = weights.source_file(MODEL)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(
        source.parent, gguf_file=source.name, dtype=torch.float32
    )
    return scores(loaded, token_ids)


@pytest.fixture(scope="module")
def openvino() -> OpenVino:
    choice = next(choice for choice in MODEL.engines if choice.engine == "openvino")
    ensure(MODEL, choice)
    return engines.module("openvino").start(MODEL, choice, weights.folder(MODEL.slug, "openvino"))


def test_openvino_has_the_reference_s_perplexity(
    openvino: OpenVino, token_ids: list[int], reference: tuple[float, list[int]]
) -> None:
    perplexity = openvino.perplexity(token_ids)
    assert perplexity == pytest.approx(reference[0], rel=WITHIN)


def test_openvino_chooses_the_reference_s_next_token(
    openvino: OpenVino, token_ids: list[int], reference: tuple[float, list[int]]
) -> None:
    greedy = Sampling(max_tokens=1, temperature=0, top_p=1, top_k=0, repetition_penalty=1, seed=0, ignore_end=True)
    chosen = []
    for length in range(1, len(token_ids)):
        generation = Generation(token_ids[:length], greedy)
        openvino.submit(generation)
        chosen += [token_id for part in generation for token_id in part]
    agreed = sum(ours == theirs for ours, theirs in zip(chosen, reference[1], strict=False))
    assert len(chosen) == len(token_ids) - 1
    assert agreed / len(chosen) >= AGREEMENT


def test_transformers_files_have_the_reference_s_quality(
    token_ids: list[int], reference: tuple[float, list[int]]
) -> None:
    choice = next(choice for choice in MODEL.engines if choice.engine == "transformers")
    ensure(MODEL, choice)
    folder = weights.folder(MODEL.slug, "transformers")
    loaded = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, choice.dtype))
    perplexity, chosen = scores(loaded, token_ids)
    agreed = sum(ours == theirs for ours, theirs in zip(chosen, reference[1], strict=True))
    assert perplexity == pytest.approx(reference[0], rel=WITHIN)
    assert agreed / len(chosen) >= AGREEMENT
