"""The facts in the files of a model, from every kind of configuration, and manifests that contradict them."""

import json
from pathlib import Path
from typing import Any

import pytest

from models import manifest
from models.errors import ManifestError
from models.facts import Facts
from models.tasks.text_generation.manifest import Architecture, Manifest
from models.weights import formats, model_facts
from tests import tiny_models
from tests.template.models.weights.project import safetensors

SIZES = {"layers": 2, "kv_heads": 2, "head_dim": 64, "context_length": tiny_models.CONTEXT_LENGTH}
MODEL = manifest.selected_as(Manifest)


@pytest.mark.parametrize("architecture", tiny_models.ARCHITECTURES)
def test_safetensors_and_gguf_of_a_model_have_the_same_facts(tmp_path: Path, architecture: str) -> None:
    folder = tiny_models.safetensors(tmp_path / "folder", architecture)
    facts = model_facts.read([path.name for path in folder.iterdir()], folder)
    expected = SIZES | ({"kv_heads": 4} if architecture == "gpt2" else {})
    assert facts.model_dump(include={*SIZES}) == expected
    assert facts.sliding_window == (
        tiny_models.SLIDING_WINDOW if "gemma3" in architecture or architecture == "mistral" else None
    )
    weights = {name: weight.numel() for name, weight in tiny_models.model(architecture).named_parameters()}
    assert facts.parameters == sum(weights.values())
    tables = ("embed_tokens.weight", "embed_in.weight", "wte.weight", "lm_head.weight", "embed_out.weight")
    assert facts.embedding_parameters == sum(count for name, count in weights.items() if name.endswith(tables))
    if architecture != "gemma3":
        tiny_models.gguf(tmp_path / "model.gguf", architecture)
        of_gguf = model_facts.read(["model.gguf"], tmp_path)
        assert of_gguf.model_dump(include={*SIZES}) == expected
        assert of_gguf.sliding_window == facts.sliding_window
        assert of_gguf.embedding_parameters == facts.embedding_parameters


@pytest.mark.parametrize(
    ("config", "facts"),
    [
        (
            {"model_type": "falcon", "num_attention_heads": 71, "hidden_size": 4544, "multi_query": True},
            {"kv_heads": 1},
        ),
        (
            {"num_attention_heads": 16, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128},
            {"head_dim": 192},
        ),
        ({"sliding_window": 4096, "use_sliding_window": False}, {"sliding_window": None}),
        (
            {"text_config": {"model_type": "gemma3_text", "num_hidden_layers": 34}},
            {"layers": 34, "context_length": 131_072},
        ),
        ({"quantization_config": {"quant_method": "awq"}}, {"quantization": "awq"}),
        (
            {"auto_map": {"AutoModelForCausalLM": "modeling_x.X"}, "is_encoder_decoder": True},
            {"has_code": True, "is_encoder_decoder": True},
        ),
        ({"n_head": 4, "n_embd": 64, "n_layer": 3, "n_positions": 99}, {"head_dim": 16, "kv_heads": 4, "layers": 3}),
    ],
)
def test_each_spelling_of_a_configuration_s_keys_is_read(
    tmp_path: Path, config: dict[str, Any], facts: dict[str, Any]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(safetensors(8))
    found = model_facts.read(["config.json", "model.safetensors"], tmp_path).model_dump()
    assert {key: found[key] for key in facts} == facts


def test_heads_missing_from_a_configuration_are_read_from_the_tensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = {"language_model.model.layers.0.self_attn.k_norm.weight": (256,), "vision.k_proj.weight": (1152, 1152)}
    shapes |= {"language_model.model.layers.0.self_attn.k_proj.weight": (1024, 2560)}
    held = [formats.Tensor(name, "BF16", shape) for name, shape in shapes.items()]
    monkeypatch.setattr(formats, "tensors", lambda path: held)
    (tmp_path / "config.json").write_text(json.dumps({"text_config": {"num_hidden_layers": 34, "hidden_size": 2560}}))
    found = model_facts.read(["config.json", "model.safetensors"], tmp_path)
    assert (found.kv_heads, found.head_dim) == (4, 256)


def test_a_manifest_that_contradicts_the_weights_is_refused_with_both_numbers() -> None:
    facts = Facts(parameters=100, layers=12, kv_heads=12, head_dim=64, context_length=1024)
    bare = MODEL.model_copy(update={"parameters": None, "architecture": None, "context_length": None})
    read = bare.with_facts(facts)
    assert isinstance(read, Manifest)
    assert (read.parameters, read.longest_context(), read.cache_bytes_per_token(2)) == (100, 1024, 2 * 12 * 12 * 64 * 2)
    assert read.with_facts(facts.model_copy(update={"parameters": 108})).parameters == 108
    for key, value, message in (
        ("context_length", 8192, r"context_length: 8192 here, and 1024 in the files of the weights: remove the key"),
        ("parameters", 200, "parameters: 200 here, and 100"),
        (
            "architecture",
            Architecture(layers=30, kv_heads=3, head_dim=64),
            "layers=30 .* here, and layers=12 kv_heads=12",
        ),
    ):
        with pytest.raises(ManifestError, match=message):
            bare.model_copy(update={key: value}).with_facts(facts)


def test_a_fact_that_neither_manifest_nor_weights_give_is_named() -> None:
    bare = MODEL.model_copy(update={"architecture": None, "context_length": None})
    with pytest.raises(ManifestError, match=r"has no context_length, and neither has weights\.lock"):
        bare.longest_context()
    with pytest.raises(ManifestError, match="has no architecture: "):
        bare.cache_bytes_per_token(2)
