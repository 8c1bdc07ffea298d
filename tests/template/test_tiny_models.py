"""The small models of other tests have real architectures, and the same weights in every format."""

from pathlib import Path

import pytest
import torch
import transformers

from tests import tiny_models, tiny_tokenizers

GGUF_ARCHITECTURES = [name for name in tiny_models.ARCHITECTURES if name != "gemma3"]  # a GGUF has only its text half


@pytest.mark.parametrize(("architecture", "shards"), [*((name, 1) for name in tiny_models.ARCHITECTURES), ("llama", 3)])
def test_safetensors_contain_the_model(tmp_path: Path, architecture: str, shards: int) -> None:
    folder = tiny_models.safetensors(tmp_path, architecture, shards=shards)
    assert (len(list(folder.glob("*.safetensors"))) > 1) == (shards > 1)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    assert type(loaded) is type(tiny_models.model(architecture))
    _assert_same(loaded, tiny_models.model(architecture))
    assert transformers.AutoTokenizer.from_pretrained(folder).decode([2]) == tiny_tokenizers.END


@pytest.mark.parametrize("architecture", GGUF_ARCHITECTURES)
def test_a_gguf_contains_the_model(tmp_path: Path, architecture: str) -> None:
    file = tiny_models.gguf(tmp_path / "model.gguf", architecture)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    _assert_same(loaded, tiny_models.model(architecture))


@pytest.mark.parametrize("kind", tiny_tokenizers.KINDS)
def test_a_tokenizer_is_the_same_every_time(kind: str) -> None:
    assert tiny_tokenizers.build(kind).to_str() == tiny_tokenizers.build(kind).to_str()


def _assert_same(loaded: transformers.PreTrainedModel, made: transformers.PreTrainedModel) -> None:
    weights, wanted = loaded.state_dict(), made.state_dict()
    assert weights.keys() == wanted.keys()
    assert [name for name in wanted if not torch.equal(weights[name], wanted[name])] == []
