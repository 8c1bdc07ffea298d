"""GGUF files of every form: each part is used or refused by name, and converted files give the same results."""

import copy
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
import transformers

from models.errors import EngineError, WeightsError
from models.runtimes.checkpoint import load
from models.runtimes.gguf import comparison, decoder, to_safetensors
from models.runtimes.gguf.decoder import Decoder
from models.weights import gguf_format
from models.weights.gguf_format import ARRAY, STRING, Value
from tests import gguf_variants, tiny_gguf, tiny_models, tiny_tokenizers
from tests.gguf_variants import variant

PROMPT = numpy.random.default_rng(1).integers(300, size=200).tolist()
ALIKE = 1e-4
GGUFS = [name for name in tiny_models.ARCHITECTURES if name != "gemma3"]  # its GGUF has only its text half
UINT, FLOAT = 4, 6
USUAL = ("F16", "BF16", "Q8_0", "Q4_0", "Q4_K", "Q6_K", "IQ4_XS")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A GGUF in float16 of each architecture."""
    folder = tmp_path_factory.mktemp("ggufs")
    return {name: tiny_models.gguf(folder / f"{name}.gguf", name) for name in GGUFS}


def logits(model: Any) -> Any:
    with torch.inference_mode():
        return model(torch.tensor([PROMPT])).logits[0].float().numpy()


def difference(path: Path, model: Any) -> float:
    """The difference between what this project computes from the file and what a model of transformers computes."""
    return comparison.difference(Decoder(gguf_format.read(path)).logits(PROMPT), logits(model))


@pytest.mark.parametrize("architecture", GGUFS)
def test_each_architecture_is_read_correctly(sources: dict[str, Path], architecture: str) -> None:
    read = to_safetensors.model(gguf_format.read(sources[architecture]))
    assert comparison.difference(logits(read), logits(tiny_models.model(architecture))) < ALIKE


def another_model(architecture: str) -> Any:
    """A model of an architecture whose GGUF keys transformers' own reader ignores."""
    widths = tiny_models._WIDTHS | {"vocab_size": tiny_tokenizers.build("byte-level").get_vocab_size()}
    rotary = {"rope_type": "default", "rope_theta": 500_000.0}
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 256}
    configs = {
        "qwen2": transformers.Qwen2Config(**widths, rope_parameters=rotary),
        "qwen2moe": transformers.Qwen2MoeConfig(**widths, **experts, shared_expert_intermediate_size=512),
        "gemma2": transformers.Gemma2Config(
            **widths,
            sliding_window=32,
            query_pre_attn_scalar=64,
            attn_logit_softcapping=3.0,
            final_logit_softcapping=2.0,
        ),
        "starcoder2": transformers.Starcoder2Config(**widths, rope_parameters=rotary, sliding_window=None),
    }
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(configs[architecture]).eval()


@pytest.mark.parametrize("architecture", ["qwen2", "qwen2moe", "gemma2", "starcoder2"])
def test_keys_that_transformers_own_reader_ignores_are_used(tmp_path: Path, architecture: str) -> None:
    made = another_model(architecture)
    for weight in made.parameters():
        weight.data = (weight + 0.05 * torch.randn_like(weight) if weight.ndim == 1 else weight).half().float()
    file = tiny_gguf.write(tmp_path / "model.gguf", made, "byte-level", {})
    read = to_safetensors.model(gguf_format.read(file))
    assert comparison.difference(logits(read), logits(made)) < ALIKE
    if architecture == "qwen2":
        assert difference(file, made) < ALIKE


@pytest.mark.parametrize("architecture", ["llama", "qwen3"])
def test_the_reference_decoder_gives_the_same_results(sources: dict[str, Path], architecture: str) -> None:
    assert difference(sources[architecture], tiny_models.model(architecture)) < ALIKE


@pytest.mark.parametrize(
    "kind", [kind if kind in USUAL else pytest.param(kind, marks=pytest.mark.slow) for kind in gguf_variants.KINDS]
)
def test_every_quantisation_is_read(sources: dict[str, Path], tmp_path: Path, kind: str) -> None:
    path = variant(sources["llama"], tmp_path / "model.gguf", kind)
    read = gguf_format.read(path)
    assert read.tensors["blk.0.attn_q.weight"].kind.name == kind
    assert difference(path, to_safetensors.model(read)) < ALIKE


def test_a_type_without_a_dequantiser_is_refused(sources: dict[str, Path], tmp_path: Path) -> None:
    path = variant(sources["llama"], tmp_path / "model.gguf", "Q8_0")
    content = bytearray(path.read_bytes())
    at = content.index(b"blk.0.attn_q.weight") + len("blk.0.attn_q.weight") + 4 + 16
    content[at] = 9  # Q8_1, an intermediate of llama.cpp's; its rows are longer
    path.write_bytes(content + bytes(100_000))
    with pytest.raises(WeightsError, match=r"holds blk\.0\.attn_q\.weight as Q8_1, which the package gguf cannot"):
        gguf_format.read(path).tensors["blk.0.attn_q.weight"].values()


@pytest.mark.parametrize(("alignment", "parts"), [(8, 3), (64, 1), (4096, 3)])
def test_other_alignments_and_split_files_are_read(
    sources: dict[str, Path], tmp_path: Path, alignment: int, parts: int
) -> None:
    path = variant(sources["qwen3"], tmp_path / "model.gguf", "Q8_0", alignment=alignment, parts=parts)
    read, plain = gguf_format.read(path), gguf_format.read(sources["qwen3"])
    assert read.tensors.keys() == plain.tensors.keys()
    assert difference(path, to_safetensors.model(read)) < ALIKE


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_missing_part_of_a_split_file_is_named(sources: dict[str, Path], tmp_path: Path, lost: int) -> None:
    path = variant(sources["llama"], tmp_path / "model.gguf", parts=3)
    gone = gguf_format.parts(path)[lost - 1]
    gone.unlink()
    for part in gguf_format.parts(path):
        with pytest.raises(WeightsError, match=f"{gone.name} is missing, and without it"):
            gguf_format.read(part)


def test_a_renamed_part_of_a_split_file_is_reported(sources: dict[str, Path], tmp_path: Path) -> None:
    path = variant(sources["llama"], tmp_path / "model.gguf", parts=2).rename(tmp_path / "renamed.gguf")
    with pytest.raises(WeightsError, match=r"says that it is one of 2 parts: lock them all, .*-00001-of-00002\.gguf"):
        gguf_format.read(path)


def test_odd_metadata_changes_nothing(sources: dict[str, Path], tmp_path: Path) -> None:
    odd = {
        "general.name": Value(STRING, None, b"caf\xe9"),
        "general.tags": Value(ARRAY, STRING, []),
        "llama.vision.deepstack_visual_indexes": Value(ARRAY, 5, []),
        "quantize.imatrix.file": Value(STRING, None, "imatrix.dat"),
        "somebody.quantized_at": Value(STRING, None, "today"),
        "llama.expert_count": Value(UINT, None, 0),
        "llama.tensor_data_layout": Value(STRING, None, "Meta AI original pth"),
        "somebody.flags": Value(ARRAY, 7, [True, False]),
    }
    path = variant(sources["llama"], tmp_path / "model.gguf", values=odd)
    read = gguf_format.read(path)
    assert (read.get("general.name"), read.get("general.tags")) == ("caf\\xe9", [])
    assert difference(path, tiny_models.model("llama")) < ALIKE
    assert comparison.difference(logits(to_safetensors.model(read)), logits(tiny_models.model("llama"))) < ALIKE


@pytest.mark.parametrize(
    ("values", "tensors", "says"),
    [
        ({"llama.expert_count": Value(UINT, None, 4)}, {}, "the key llama.expert_count"),
        ({"llama.logit_scale": Value(FLOAT, None, 0.5)}, {}, "the key llama.logit_scale"),
        ({"llama.rope.dimension_count": Value(UINT, None, 32)}, {}, "llama.rope.dimension_count 32"),
        ({"llama.attention.value_length": Value(UINT, None, 32)}, {}, "llama.attention.value_length 32"),
        ({"llama.rope.scaling.type": Value(STRING, None, "new")}, {}, "llama.rope.scaling.type new"),
        ({"llama.rope.scaling.type": Value(STRING, None, "longrope")}, {}, "llama.rope.scaling.type longrope"),
        ({"llama.rope.scaling.attn_factor": Value(FLOAT, None, 1.5)}, {}, "llama.rope.scaling.attn_factor 1.5"),
        ({"llama.attention.head_count_kv": Value(ARRAY, UINT, [2, 2])}, {}, r"llama.attention.head_count_kv \[2, 2\]"),
        ({"llama.block_count": None}, {}, "no key llama.block_count"),
        ({"general.type": Value(STRING, None, "adapter")}, {}, "general.type adapter"),
        ({"general.architecture": Value(STRING, None, "mamba2")}, {}, "the architecture mamba2"),
        ({}, {"blk.0.attn_q_norm.weight": numpy.ones(64, "f4")}, "blk.0.attn_q_norm.weight"),
        ({}, {"blk.1.ffn_gate_inp.weight": numpy.ones((4, 256), "f4")}, "blk.1.ffn_gate_inp.weight"),
        ({}, {"blk.1.ffn_up.weight": None}, "(blk.1.ffn_up.weight|model.layers.1.mlp.up_proj.weight)"),
    ],
)
def test_an_unsupported_key_or_tensor_that_changes_a_result_is_refused_by_name(
    sources: dict[str, Path], tmp_path: Path, values: dict[str, Any], tensors: dict[str, Any], says: str
) -> None:
    read = gguf_format.read(variant(sources["llama"], tmp_path / "model.gguf", values=values, tensors=tensors))
    assert decoder.unread(read)
    with pytest.raises(EngineError, match=rf"model\.gguf has .*{says}.*take the model's safetensors"):
        to_safetensors.model(read)


def llama3_factors() -> Any:
    """The factors that llama.cpp's converter makes from Llama 3.2's rope_scaling, for heads of 64."""
    lengths = 2 * numpy.pi * 10_000 ** (numpy.arange(0, 64, 2) / 64)
    smooth = numpy.clip((8192 / lengths - 1) / 3, 0, 1)
    return (1 / ((1 - smooth) / 32 + smooth)).astype("f4")


@pytest.mark.parametrize(
    ("values", "factors", "kind"),
    [
        ({}, llama3_factors(), "llama3"),
        ({}, numpy.linspace(1, 9, 32, dtype="f4"), "longrope"),
        ({"type": Value(STRING, None, "linear"), "factor": Value(FLOAT, None, 4.0)}, None, "linear"),
        ({"factor": Value(FLOAT, None, 4.0)}, None, "linear"),
    ],
)
def test_rotary_factors_and_scaling_are_used(
    sources: dict[str, Path], tmp_path: Path, values: dict[str, Any], factors: Any, kind: str
) -> None:
    tensors = {} if factors is None else {"rope_freqs.weight": factors}
    scaling = {f"llama.rope.scaling.{key}": value for key, value in values.items()}
    path = variant(sources["llama"], tmp_path / "model.gguf", values=scaling, tensors=tensors)
    read = to_safetensors.model(gguf_format.read(path))
    assert read.config.rope_parameters["rope_type"] == kind
    assert difference(path, read) < ALIKE
    assert difference(path, tiny_models.model("llama")) > comparison.READ  # the fault would be noticed


@pytest.mark.parametrize("architecture", ["llama", "mistral", "gpt2", "qwen3_moe"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_saved_files_are_compared_and_contain_the_model(
    sources: dict[str, Path], tmp_path: Path, architecture: str, dtype: str
) -> None:
    to_safetensors.write(gguf_format.read(sources[architecture]), tmp_path, dtype)
    saved = load(tmp_path, dtype=torch.float32)
    for name, weight in tiny_models.model(architecture).state_dict().items():
        assert torch.equal(saved.state_dict()[name], weight.to(getattr(torch, dtype)).float())


def test_different_results_are_refused_with_the_size_of_the_difference(tmp_path: Path) -> None:
    expected = numpy.random.default_rng(0).normal(size=(4, 50)).astype("f4")
    comparison.check(expected + 3, expected, 1e-6, tmp_path)  # a constant added to all logits changes nothing
    for wrong in (expected * 1.2, expected * numpy.nan):
        with pytest.raises(EngineError, match=r"their logits differ by (20\.0|nan)%, at most 1\.0%"):
            comparison.check(wrong, expected, 0.01, tmp_path)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda content: content[:-1], "ends 1 bytes after it"),
        (lambda content: content[:3000], "model.gguf is damaged"),
        (lambda content: b"GGUF" + content[4:8][::-1] + content[8:], "it is big-endian"),
        (lambda content: b"GGUF\x01" + content[5:], "it is of GGUF's version 1"),
        (lambda content: content.replace(b"blk.0.attn_q.", b"blk.1.attn_q."), "two tensors have one name"),
    ],
)
def test_a_damaged_file_is_reported_in_one_line(
    sources: dict[str, Path], tmp_path: Path, damage: Any, says: str
) -> None:
    (tmp_path / "model.gguf").write_bytes(damage(sources["llama"].read_bytes()))
    with pytest.raises(WeightsError, match=says):
        gguf_format.read(tmp_path / "model.gguf")


def test_phi_s_two_sets_of_rotary_factors_are_used(sources: dict[str, Path], tmp_path: Path) -> None:
    long, short = numpy.linspace(1, 20, 32, dtype="f4"), numpy.linspace(1, 2, 32, dtype="f4")
    values = {
        "phi3.rope.scaling.original_context_length": Value(UINT, None, 64),
        "phi3.rope.scaling.attn_factor": Value(FLOAT, None, 1.25),
        "phi3.attention.sliding_window": Value(UINT, None, 0),
    }
    tensors = {"rope_factors_long.weight": long, "rope_factors_short.weight": short}
    path = variant(sources["phi3"], tmp_path / "model.gguf", values=values, tensors=tensors)
    made = tiny_models.model("phi3")
    config = copy.deepcopy(made.config)
    config.original_max_position_embeddings = 64
    config.rope_parameters = {
        "rope_type": "longrope",
        "rope_theta": config.rope_parameters["rope_theta"],
        "long_factor": long.tolist(),
        "short_factor": short.tolist(),
        "original_max_position_embeddings": 64,
        "attention_factor": 1.25,
    }
    wanted = transformers.Phi3ForCausalLM(config).eval()
    wanted.load_state_dict(made.state_dict())
    read = to_safetensors.model(gguf_format.read(path))
    assert comparison.difference(logits(read), logits(wanted)) < ALIKE
    assert comparison.difference(logits(read), logits(made)) > comparison.READ
