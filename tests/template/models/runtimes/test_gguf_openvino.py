"""OpenVINO's files made from a GGUF give its results: they are compared before they are used, and refused otherwise.

A conversion takes a second or two: GenAI's reader, a text that the model writes, and three compilations.
"""

from pathlib import Path
from typing import Any

import numpy
import openvino
import pytest
import torch

from models.errors import EngineError
from models.runtimes import openvino as engine
from models.runtimes.gguf import comparison, openvino_graph, to_safetensors
from models.runtimes.gguf.decoder import Decoder
from models.weights import gguf_format
from models.weights.gguf_format import Value
from tests import tiny_models
from tests.gguf_variants import variant

PROMPT = numpy.random.default_rng(2).integers(300, size=300).tolist()
RANDOM = numpy.random.default_rng(3)
FACTORS = {"rope_freqs.weight": numpy.linspace(1, 9, 32, dtype="f4")}
BIASES = {
    f"blk.{layer}.{name}.bias": RANDOM.normal(scale=0.3, size=width).astype("f4")
    for layer in range(2)
    for name, width in [("attn_q", 256), ("attn_k", 128), ("attn_v", 128), ("attn_output", 256)]
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.gguf(tmp_path_factory.mktemp("gguf") / "llama.gguf", "llama")


@pytest.mark.parametrize(
    ("kind", "in_four_bits", "tensors", "bound"),
    [
        ("F16", 0, FACTORS, 0.003),
        ("BF16", 0, BIASES, 0.003),
        ("Q4_0", 0, {}, 0.03),
        ("IQ4_XS", 0, {}, 0.03),
        ("Q4_0", 10, FACTORS, 0.03),
        ("Q4_K", 8, BIASES, 0.03),  # the variant's gate and up are equal, so the graph has them once
    ],
)
def test_converted_files_give_the_results_of_transformers_in_float32(
    source: Path, tmp_path: Path, kind: str, in_four_bits: int, tensors: dict[str, Any], bound: float
) -> None:
    path = variant(source, tmp_path / "model.gguf", kind, tensors=tensors)
    (tmp_path / "made").mkdir()
    engine.convert(path, tmp_path / "made", "int4" if in_four_bits else "float16")
    model = openvino.Core().read_model(tmp_path / "made" / "openvino_model.xml")
    types = [node.get_output_element_type(0) for node in model.get_ordered_ops() if node.get_output_size()]
    assert types.count(openvino.Type.u4) == in_four_bits
    with torch.inference_mode():
        expected = to_safetensors.model(gguf_format.read(path))(torch.tensor([PROMPT])).logits[0].numpy()
    found = openvino_graph.logits(model, PROMPT)
    assert comparison.difference(found, expected) < bound
    assert (found.argmax(axis=-1) == expected.argmax(axis=-1)).mean() > 0.97


@pytest.mark.parametrize("kind", ["F16", "Q5_0", "IQ4_XS"])  # the 16 values of IQ4_XS are not evenly spaced
def test_int4_is_refused_if_the_gguf_has_no_matrix_in_4_bits(source: Path, tmp_path: Path, kind: str) -> None:
    path = variant(source, tmp_path / "model.gguf", kind)
    with pytest.raises(EngineError, match=r"model\.gguf has no matrix in 4 bits: leave out dtype: int4"):
        engine.convert(path, tmp_path, "int4")


def test_converted_files_with_other_results_are_refused(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when GenAI's reader forgets the rotary factors, which it does."""
    monkeypatch.setattr(openvino_graph, "set_frequencies", lambda model, decoder: None)
    path = variant(source, tmp_path / "model.gguf", tensors=FACTORS)
    with pytest.raises(EngineError, match=r"made from model\.gguf compute something else: their logits differ"):
        engine.convert(path, tmp_path, "float16")


@pytest.mark.parametrize("architecture", ["gpt2", "mistral"])
def test_a_gguf_that_genai_cannot_read_is_refused_with_the_remedy(tmp_path: Path, architecture: str) -> None:
    path = tiny_models.gguf(tmp_path / "model.gguf", architecture)
    with pytest.raises(EngineError, match=r"OpenVINO GenAI does not read: make weights and make image convert it"):
        engine.convert(path, tmp_path, "float16")


def test_a_value_too_large_for_float16_is_named(source: Path, tmp_path: Path) -> None:
    large = gguf_format.read(source).tensors["blk.1.ffn_down.weight"].values()
    large[3, 5] = 70_000
    path = variant(source, tmp_path / "model.gguf", "F32", tensors={"blk.1.ffn_down.weight": large})
    with pytest.raises(EngineError, match=r"holds 7e\+04 in blk\.1\.ffn_down\.weight, and float16 ends at 65504"):
        engine.convert(path, tmp_path, "float16")


def test_a_file_without_begin_and_end_tokens_still_has_a_first_token(source: Path, tmp_path: Path) -> None:
    missing: dict[str, Value | None] = {f"tokenizer.ggml.{name}_token_id": None for name in ("bos", "eos")}
    decoder = Decoder(gguf_format.read(variant(source, tmp_path / "model.gguf", values=missing)))
    assert decoder.first_token == 0
