"""Writes a model of tests/tiny_models.py with its tokenizer as a float16 GGUF, like llama.cpp's converter.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import json
import re
from pathlib import Path
from typing import Any

import gguf
import numpy
import torch
import transformers

from tests import tiny_tokenizers

_ARCHITECTURES = {"mistral": "llama", "gemma3_text": "gemma3", "qwen2_moe": "qwen2moe", "qwen3_moe": "qwen3moe"}
_TOKENIZERS = {"byte-level": "gpt2", "byte-fallback": "llama", "unigram": "t5", "wordpiece": "bert"}
_SPACE = "▁"


def write(file: Path, model: transformers.PreTrainedModel, tokenizer: str, metadata: dict[str, Any]) -> Path:
    """`metadata`: values of `tokenizer.ggml.` keys, of keys given in full, or `chat_template`; None removes a key."""
    config = model.config
    architecture = _ARCHITECTURES.get(config.model_type, config.model_type)
    writer = gguf.GGUFWriter(file, architecture)
    writer.add_name(f"tiny {config.model_type}")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    _write_shape(writer, config)
    for key, value in (_tokenizer_keys(tokenizer) | {_full(key): metadata[key] for key in metadata}).items():
        _write_key(writer, key, value)
    for name, tensor in _tensors(model, architecture).items():
        writer.add_tensor(name, tensor.astype(numpy.float16 if tensor.ndim > 1 else numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _full(key: str) -> str:
    if key == "chat_template":
        return f"tokenizer.{key}"
    return key if "." in key else f"tokenizer.ggml.{key}"


def _write_shape(writer: gguf.GGUFWriter, config: transformers.PretrainedConfig) -> None:
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    if config.model_type == "gpt2":
        writer.add_feed_forward_length(4 * config.hidden_size)
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
        return
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    if config.model_type == "starcoder2":
        writer.add_layer_norm_eps(config.norm_epsilon)
    else:
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope = config.rope_parameters
    writer.add_rope_freq_base(rope.get("full_attention", rope)["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    if getattr(config, "sliding_window", None):
        writer.add_sliding_window(config.sliding_window)
    if config.model_type == "gemma2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)
    if config.model_type == "gemma3_text":
        writer.add_sliding_window_pattern([kind == "sliding_attention" for kind in config.layer_types])
    if config.model_type == "qwen2_moe":
        writer.add_expert_shared_feed_forward_length(config.shared_expert_intermediate_size)
    if config.model_type in ("qwen2_moe", "qwen3_moe"):
        writer.add_expert_count(config.num_experts)
        writer.add_expert_used_count(config.num_experts_per_tok)
        writer.add_expert_feed_forward_length(config.moe_intermediate_size)


def _tokenizer_keys(kind: str) -> dict[str, Any]:
    made = tiny_tokenizers.build(kind)
    described = json.loads(made.to_str())["model"]
    tokens = [made.id_to_token(number) for number in range(made.get_vocab_size())]
    keys: dict[str, Any] = {
        "model": _TOKENIZERS[kind],
        "tokens": tokens,
        "token_type": [_token_type(token) for token in tokens],
        "bos_token_id": 1,
        "eos_token_id": 2,
        "unknown_token_id": 0,
        "padding_token_id": 2,
    }
    if kind == "byte-level":
        keys |= {"pre": "qwen2", "merges": [" ".join(merge) for merge in described["merges"]]}
    elif kind == "byte-fallback":
        keys |= {"scores": [-float(max(0, number - 258)) for number in range(len(tokens))], "add_space_prefix": True}
    elif kind == "unigram":
        keys |= {"scores": [float(score) for _, score in described["vocab"]], "add_space_prefix": True}
    else:
        keys["tokens"] = [_phantom(token) for token in tokens]
    keys = {f"tokenizer.ggml.{key}": value for key, value in keys.items()}
    return keys | {"tokenizer.chat_template": tiny_tokenizers.CHAT_TEMPLATE}


def _token_type(token: str) -> int:
    if token == tiny_tokenizers.UNKNOWN:
        return int(gguf.TokenType.UNKNOWN)
    if token in tiny_tokenizers.SPECIAL:
        return int(gguf.TokenType.CONTROL)
    return int(gguf.TokenType.BYTE if re.fullmatch("<0x..>", token) else gguf.TokenType.NORMAL)


def _phantom(token: str) -> str:
    """WordPiece in GGUF's spelling: tokens that begin a word have ▁ before them, and others have no ##."""
    if token in tiny_tokenizers.SPECIAL:
        return token
    return token[2:] if token.startswith("##") else _SPACE + token


def _write_key(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)


def _tensors(model: transformers.PreTrainedModel, architecture: str) -> dict[str, Any]:
    """The weights with GGUF's names and layout."""
    config, tensors = model.config, {}
    number = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(number, config.num_hidden_layers)
    is_tied = config.tie_word_embeddings
    for name, tensor in model.state_dict().items():
        if is_tied and name == "lm_head.weight":
            continue
        stem, _, suffix = name.rpartition(".")
        if ".mlp.experts." in name:
            tensors |= _experts(name, tensor)
            continue
        known = names.get_name(stem)
        assert known, f"GGUF has no name for {name}"
        tensors[f"{known}.{suffix}"] = _laid_out(known, tensor, config).numpy()
    return tensors


def _experts(name: str, tensor: torch.Tensor) -> dict[str, Any]:
    layer = name.split(".")[2]
    if name.endswith("down_proj"):
        return {f"blk.{layer}.ffn_down_exps.weight": tensor.numpy()}
    gate, up = tensor.chunk(2, dim=1)
    return {
        f"blk.{layer}.ffn_gate_exps.weight": gate.contiguous().numpy(),
        f"blk.{layer}.ffn_up_exps.weight": up.contiguous().numpy(),
    }


def _laid_out(name: str, tensor: torch.Tensor, config: transformers.PretrainedConfig) -> torch.Tensor:
    kind = config.model_type
    if kind in ("llama", "mistral") and ".attn_q" in name:
        return _interleaved(tensor, config.num_attention_heads)
    if kind in ("llama", "mistral") and ".attn_k" in name:
        return _interleaved(tensor, config.num_key_value_heads)
    if name.endswith("ffn_gate_inp_shexp"):
        return tensor.flatten()
    if kind in ("gemma2", "gemma3_text") and name.endswith("norm"):
        return tensor + 1
    if kind == "gpt2" and tensor.ndim == 2 and name.startswith("blk."):
        return tensor.T.contiguous()
    return tensor


def _interleaved(tensor: torch.Tensor, heads: int) -> torch.Tensor:
    """The rows of each head in the order of llama.cpp's rotary positions: pairs side by side, not in two halves."""
    halves = tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, *tensor.shape[1:])
    return halves.swapaxes(1, 2).reshape(tensor.shape)
