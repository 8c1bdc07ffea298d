"""The quality of each engine, compared with transformers in float32 on the downloaded weights."""

import math
from typing import Any

import numpy
import openvino as openvino_runtime
import openvino_genai
import pytest
import torch
import transformers

from models import weights
from models.tasks.text_generation.engines import openvino as openvino_engine
from models.tasks.text_generation.engines.openvino import OpenVino
from scripts.conversion.weights import ensure
from tests.template.models.tasks.text_generation.engines.helpers import MODEL, TEXT, choice_of, started, tokens

pytestmark = pytest.mark.slow  # the whole model in float32, over a long text

WITHIN = 0.01
AGREEMENT = 0.96


def scores(model: Any, token_ids: list[int]) -> tuple[float, list[int]]:
    """The perplexity of a text, and the most likely next token after each of its tokens."""
    with torch.inference_mode():
        logits = model(torch.tensor([token_ids])).logits[0].float()
    loss = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(token_ids[1:]))
    return math.exp(loss.item()), logits.argmax(dim=-1).tolist()


@pytest.fixture(scope="module")
def token_ids() -> list[int]:
    ensure(MODEL, choice_of(MODEL, "transformers"))
    tokenizer = transformers.AutoTokenizer.from_pretrained(weights.folder(MODEL.slug, "transformers"))
    token_ids: list[int] = tokenizer.encode(TEXT, add_special_tokens=False)
    assert len(token_ids) >= 2000
    return token_ids


@pytest.fixture(scope="module")
def reference(float32: transformers.PreTrainedModel, token_ids: list[int]) -> tuple[float, list[int]]:
    return scores(float32, token_ids)


def pipeline_perplexity(engine: OpenVino, token_ids: list[int]) -> float:
    """The perplexity in the serving pipeline, from the log probabilities of the echoed prompt."""
    pipeline, config = engine._new_pipeline(), openvino_genai.GenerationConfig()
    config.max_new_tokens, config.echo, config.logprobs = 1, True, 1
    prompt = openvino_runtime.Tensor(numpy.array([token_ids], dtype=numpy.int64))
    handle, log_probabilities = pipeline.add_request(1, prompt, config), []
    while pipeline.has_non_finished_requests():
        pipeline.step()
        while handle.can_read():
            log_probabilities += [p for output in handle.read().values() for p in output.generated_log_probs]
    return math.exp(-sum(log_probabilities[1 : len(token_ids)]) / (len(token_ids) - 1))


@pytest.mark.parametrize("precision", ["this processor's", "f32"])
def test_openvino_has_the_reference_s_perplexity(
    real: OpenVino,
    token_ids: list[int],
    reference: tuple[float, list[int]],
    precision: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if precision == "f32":  # for processors without bfloat16; not every cache supports it
        monkeypatch.setattr(openvino_engine, "_precision", lambda: "f32")
    assert pipeline_perplexity(real, token_ids) == pytest.approx(reference[0], rel=WITHIN)


def test_evaluation_gives_a_text_the_same_likelihood_as_the_serving_pipeline(
    real: OpenVino, token_ids: list[int]
) -> None:
    some = token_ids[:400]
    logits = openvino_engine.logits(MODEL, choice_of(MODEL, "openvino"), real.folder)(some)[:-1]
    chosen = logits[numpy.arange(len(logits)), some[1:]] - numpy.logaddexp.reduce(logits, axis=-1)
    assert math.exp(-chosen.mean()) == pytest.approx(pipeline_perplexity(real, some), rel=WITHIN)


def test_openvino_chooses_the_reference_s_next_token(
    real: OpenVino, token_ids: list[int], reference: tuple[float, list[int]]
) -> None:
    lengths = list(range(1, len(token_ids), 24))
    chosen = []
    for begin in range(0, len(lengths), 16):
        running = [started(real, token_ids[:length], max_tokens=1) for length in lengths[begin : begin + 16]]
        chosen += [token_id for generation in running for token_id in tokens(generation)]
    agreed = sum(ours == reference[1][length - 1] for ours, length in zip(chosen, lengths, strict=True))
    assert agreed / len(chosen) >= AGREEMENT


def test_transformers_files_have_the_reference_s_quality(
    token_ids: list[int], reference: tuple[float, list[int]]
) -> None:
    choice = choice_of(MODEL, "transformers")
    ensure(MODEL, choice)
    folder = weights.folder(MODEL.slug, "transformers")
    loaded = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, choice.dtype))
    perplexity, chosen = scores(loaded, token_ids)
    agreed = sum(ours == theirs for ours, theirs in zip(chosen, reference[1], strict=True))
    assert perplexity == pytest.approx(reference[0], rel=WITHIN)
    assert agreed / len(chosen) >= AGREEMENT
