"""Models of real architectures with random weights and small tokenizers, saved as people get them in about a second.

`safetensors(folder, "llama")` makes a repository's folder, `gguf(file, "llama")` a GGUF of the same weights in
float16, and `model("llama")` the model itself. Every run has the same weights. Widths are multiples of 256, as the
K-quants of a GGUF need them, and weights are large enough that the most likely token is clearly so.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers

from tests import tiny_gguf, tiny_tokenizers

CONTEXT_LENGTH = 512
SLIDING_WINDOW = 32
_WIDTHS = {
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "max_position_embeddings": CONTEXT_LENGTH,
    "initializer_range": 0.08,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": None,
}


def model(architecture: str, tokenizer: str = "byte-level") -> transformers.PreTrainedModel:
    """One of ARCHITECTURES in float32 with weights that are exact in float16. It is shared: do not change it."""
    return _model(architecture, tiny_tokenizers.build(tokenizer).get_vocab_size())


def safetensors(folder: Path, architecture: str, tokenizer: str = "byte-level", **config: Any) -> Path:
    """Save the model with config.json, generation_config.json and tokenizer, like a Hub repository.

    `config`: more keys of generation_config.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model(architecture, tokenizer).save_pretrained(folder)
    transformers.GenerationConfig(bos_token_id=1, eos_token_id=2, **config).save_pretrained(folder)
    tiny_tokenizers.save(tokenizer, folder)
    return folder


def gguf(file: Path, architecture: str, tokenizer: str = "byte-level", **metadata: Any) -> Path:
    """Save the same model as a GGUF in float16.

    `metadata`: values of `tokenizer.ggml.` keys (`eot_token_id=3`), of other keys in full, or `chat_template`; None
    removes a key.
    """
    return tiny_gguf.write(file, model(architecture, tokenizer), tokenizer, metadata)


def _llama(vocabulary: int) -> transformers.PreTrainedModel:
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=vocabulary, **_WIDTHS))


def _qwen3(vocabulary: int) -> transformers.PreTrainedModel:
    return transformers.Qwen3ForCausalLM(transformers.Qwen3Config(vocab_size=vocabulary, **_WIDTHS))


def _mistral(vocabulary: int) -> transformers.PreTrainedModel:
    config = transformers.MistralConfig(vocab_size=vocabulary, sliding_window=SLIDING_WINDOW, **_WIDTHS)
    return transformers.MistralForCausalLM(config)


def _gemma3_text(vocabulary: int) -> transformers.PreTrainedModel:
    return transformers.Gemma3ForCausalLM(_gemma3_config(vocabulary))


def _gemma3(vocabulary: int) -> transformers.PreTrainedModel:
    """The multimodal checkpoint, whose language model is described under `text_config`."""
    vision = transformers.SiglipVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    config = transformers.Gemma3Config(
        text_config=_gemma3_config(vocabulary), vision_config=vision, mm_tokens_per_image=4, image_token_id=3
    )
    return transformers.Gemma3ForConditionalGeneration(config)


def _gemma3_config(vocabulary: int) -> transformers.Gemma3TextConfig:
    layers = ["sliding_attention", "full_attention"]
    return transformers.Gemma3TextConfig(
        vocab_size=vocabulary, sliding_window=SLIDING_WINDOW, layer_types=layers, query_pre_attn_scalar=64, **_WIDTHS
    )


def _phi3(vocabulary: int) -> transformers.PreTrainedModel:
    widths = {key: value for key, value in _WIDTHS.items() if key != "head_dim"}
    return transformers.Phi3ForCausalLM(transformers.Phi3Config(vocab_size=vocabulary, **widths))


def _gpt2(vocabulary: int) -> transformers.PreTrainedModel:
    config = transformers.GPT2Config(
        vocab_size=vocabulary,
        n_positions=CONTEXT_LENGTH,
        n_embd=256,
        n_layer=2,
        n_head=4,
        initializer_range=0.08,
        bos_token_id=1,
        eos_token_id=2,
    )
    return transformers.GPT2LMHeadModel(config)


def _qwen3_moe(vocabulary: int) -> transformers.PreTrainedModel:
    """A mixture of four experts; each token uses two."""
    config = transformers.Qwen3MoeConfig(
        vocab_size=vocabulary,
        num_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=256,
        norm_topk_prob=True,
        **_WIDTHS,
    )
    return transformers.Qwen3MoeForCausalLM(config)


ARCHITECTURES: dict[str, Callable[[int], transformers.PreTrainedModel]] = {
    "llama": _llama,
    "qwen3": _qwen3,
    "mistral": _mistral,
    "gemma3_text": _gemma3_text,
    "gemma3": _gemma3,
    "phi3": _phi3,
    "gpt2": _gpt2,
    "qwen3_moe": _qwen3_moe,
}


@cache
def _model(architecture: str, vocabulary: int) -> transformers.PreTrainedModel:
    torch.manual_seed(0)
    made = ARCHITECTURES[architecture](vocabulary).eval()
    for name, weight in made.named_parameters():
        if weight.ndim == 1:  # norms and biases are initialised to ones and zeros, which would hide a missing one
            torch.nn.init.normal_(weight, mean=0.0 if name.endswith("bias") else 1.0, std=0.1)
        weight.data = weight.data.half().float()
    return made
