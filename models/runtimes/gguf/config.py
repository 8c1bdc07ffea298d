"""Makes transformers' configuration from a GGUF: every key that changes a result is either used or refused.

transformers' own reader uses a few keys and ignores the others silently. llama.cpp defines their meaning:
https://github.com/ggml-org/llama.cpp/blob/master/src/llama-model.cpp
"""

import math
from typing import Any

from models.errors import EngineError
from models.runtimes.gguf.decoder import unknown_key
from models.weights.gguf_format import Gguf

_SIZES = {
    "context_length": "max_position_embeddings",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "embedding_length": "hidden_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
}
_RMS = {"attention.layer_norm_rms_epsilon": "rms_norm_eps"}
_EXPERTS = {
    "expert_count": "num_experts",
    "expert_used_count": "num_experts_per_tok",
    "expert_feed_forward_length": "moe_intermediate_size",
}
_CAPS = {"attn_logit_softcapping": "attn_logit_softcapping", "final_logit_softcapping": "final_logit_softcapping"}
_WINDOW = {"attention.sliding_window": "sliding_window"}
_HEAD = {"attention.key_length": "head_dim"}
_GPT2 = {
    "context_length": "n_positions",
    "block_count": "n_layer",
    "feed_forward_length": "n_inner",
    "embedding_length": "n_embd",
    "attention.head_count": "n_head",
    "attention.layer_norm_epsilon": "layer_norm_epsilon",
}
_KEYS: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = {
    "llama": ("llama", _SIZES | _RMS | _HEAD, {}),
    "qwen2": ("qwen2", _SIZES | _RMS, {}),
    "qwen3": ("qwen3", _SIZES | _RMS | _HEAD, {}),
    "qwen2moe": (
        "qwen2_moe",
        _SIZES | _RMS | _EXPERTS | {"expert_shared_feed_forward_length": "shared_expert_intermediate_size"},
        {"norm_topk_prob": False},
    ),
    "qwen3moe": ("qwen3_moe", _SIZES | _RMS | _HEAD | _EXPERTS, {"norm_topk_prob": True}),
    "phi3": ("phi3", _SIZES | _RMS | _WINDOW, {}),
    "gemma2": ("gemma2", _SIZES | _RMS | _HEAD | _CAPS | _WINDOW, {}),
    "gemma3": ("gemma3_text", _SIZES | _RMS | _HEAD | _CAPS | _WINDOW, {}),
    "gpt2": ("gpt2", _GPT2, {}),
    "starcoder2": (
        "starcoder2",
        _SIZES | {"attention.layer_norm_epsilon": "norm_epsilon"} | _WINDOW,
        {"sliding_window": None},
    ),
}
"""By architecture: transformers' model_type, its names for the keys, and values that llama.cpp takes without a key."""
ARCHITECTURES = tuple(_KEYS)

_ROPE = {f"rope.{key}" for key in ("freq_base", "freq_base_swa", "dimension_count")} | {
    f"rope.scaling.{key}"
    for key in ("type", "factor", "attn_factor", "original_context_length", "finetuned", "yarn_beta_fast")
}
_OWN = {
    "attention.key_length",
    "attention.value_length",
    "attention.causal",
    "vocab_size",
    "rope.scaling.yarn_beta_slow",
}
_MIXED = {"gemma2", "gemma3"}
"""Architectures that alternate sliding and full attention."""
_ATTENDED_BY_WIDTH = {"gemma2": 46, "gemma3": 62}
"""The number of layers of Gemma's 27B models, which scale attention by the model's width, not by the key length."""


def configuration(gguf: Gguf) -> Any:
    """The transformers.PretrainedConfig of a GGUF's model.

    Raises:
        EngineError: the architecture or a key is not supported; names it.
    """
    import transformers

    kind, keys, more = _known(gguf)
    read = {ours: gguf.own(theirs) for theirs, ours in keys.items() if gguf.own(theirs)}  # a window of 0 is none
    config = (
        more
        | read
        | {
            "vocab_size": gguf.tensors["token_embd.weight"].shape[0],
            "tie_word_embeddings": "output.weight" not in gguf.tensors,
            "bos_token_id": gguf.get("tokenizer.ggml.bos_token_id"),
            "eos_token_id": gguf.get("tokenizer.ggml.eos_token_id"),
            "pad_token_id": gguf.get("tokenizer.ggml.padding_token_id"),
        }
    )
    if kind == "llama":
        window = gguf.own("attention.sliding_window") or 0
        if 0 < window < gguf.own("context_length", 0):
            kind, config = "mistral", config | {"sliding_window": window}
        biased = {
            name: any(tensor.endswith(f"{name}.bias") for tensor in gguf.tensors) for name in ("attn_q", "ffn_up")
        }
        config |= {"attention_bias": biased["attn_q"], "mlp_bias": biased["ffn_up"]} if kind == "llama" else {}
    if gguf.architecture in _MIXED:
        config |= _mixed_attention(gguf)
    if gguf.architecture != "gpt2":
        config["rope_parameters"] = _rope_parameters(gguf)
    if gguf.architecture == "phi3":  # its default, 4,096, would override the value in the rotary parameters
        config["original_max_position_embeddings"] = _original_length(gguf)
    return transformers.AutoConfig.for_model(kind, **config)


def _known(gguf: Gguf) -> tuple[str, dict[str, str], dict[str, Any]]:
    architecture = gguf.architecture
    if architecture not in _KEYS:
        raise _refusal(gguf, f"the architecture {architecture} (known: {', '.join(_KEYS)})")
    if gguf.get("general.type", "model") != "model":
        raise _refusal(gguf, f"general.type {gguf.get('general.type')}")
    keys = _KEYS[architecture][1]
    known = {*keys, *_OWN, *(_ROPE if architecture != "gpt2" else ())}
    known |= {"attention.sliding_window"} if architecture in ("llama", "qwen2", "qwen3") else set()
    known |= {"attention.sliding_window_pattern"} if architecture in _MIXED else set()
    if unknown := unknown_key(gguf, known):
        raise _refusal(gguf, f"the key {unknown}")
    optional = {"attention.head_count_kv", "attention.key_length", "feed_forward_length", *_WINDOW, *_CAPS}
    for key in [key for key in keys if key not in optional and gguf.own(key) is None]:
        raise _refusal(gguf, f"no key {architecture}.{key}")
    _check_values(gguf)
    return _KEYS[architecture]


def _check_values(gguf: Gguf) -> None:
    size, longest = _head_size(gguf), gguf.own("context_length", 0)
    is_windowed = 0 < (gguf.own("attention.sliding_window") or 0) < longest
    wrong = {
        "attention.causal": not gguf.own("attention.causal", True),
        "attention.value_length": gguf.own("attention.value_length", size) != size,
        "attention.key_length": "attention.key_length" not in _KEYS[gguf.architecture][1] and size != _even_share(gguf),
        "rope.dimension_count": gguf.architecture != "phi3" and gguf.own("rope.dimension_count", size) != size,
        "rope.scaling.type": not _is_known_scaling(gguf),
        "rope.scaling.attn_factor": _scaling_type(gguf) not in ("yarn", "longrope")
        and gguf.own("rope.scaling.attn_factor", 1.0) != 1,
        "attention.sliding_window": gguf.architecture in ("qwen2", "qwen3") and is_windowed,
        "attention.head_count_kv": isinstance(gguf.own("attention.head_count_kv"), list),
        "feed_forward_length": isinstance(gguf.own("feed_forward_length"), list),
    }
    for key, is_wrong in wrong.items():
        if is_wrong:
            raise _refusal(gguf, f"{gguf.architecture}.{key} {gguf.own(key)}")


def _refusal(gguf: Gguf, what: str) -> EngineError:
    return EngineError(
        f"{gguf.path.name} has {what}, which this template does not read from a GGUF: "
        "take the model's safetensors as weights.source"
    )


def _even_share(gguf: Gguf) -> int:
    return int(gguf.own("embedding_length", 0) // gguf.own("attention.head_count", 1))


def _head_size(gguf: Gguf) -> int:
    return int(gguf.own("attention.key_length", 0) or _even_share(gguf))


def _mixed_attention(gguf: Gguf) -> dict[str, Any]:
    """Which of Gemma's layers see only a window: all but the last of each period, or as an array in the file says."""
    layers: int = gguf.own("block_count")
    pattern = gguf.own("attention.sliding_window_pattern", 2 if gguf.architecture == "gemma2" else 6)
    slides = pattern if isinstance(pattern, list) else [(layer + 1) % pattern != 0 for layer in range(layers)]
    by_width = layers == _ATTENDED_BY_WIDTH[gguf.architecture]
    return {
        "layer_types": ["sliding_attention" if slides[layer] else "full_attention" for layer in range(layers)],
        "query_pre_attn_scalar": _even_share(gguf) if by_width else _head_size(gguf),
        **({"attn_logit_softcapping": None, "final_logit_softcapping": None} | _caps(gguf)),
    }


def _caps(gguf: Gguf) -> dict[str, float]:
    return {ours: gguf.own(theirs) for theirs, ours in _CAPS.items() if gguf.own(theirs)}


def _rope_parameters(gguf: Gguf) -> dict[str, Any]:
    """Rotary positions: https://huggingface.co/docs/transformers/internal/rope_utils."""
    plain = {"rope_type": "default", "rope_theta": float(gguf.own("rope.freq_base", 10_000.0))}
    if gguf.architecture == "phi3" and (turned := gguf.own("rope.dimension_count", 0)) not in (0, _head_size(gguf)):
        plain["partial_rotary_factor"] = turned / _head_size(gguf)
    scaled = plain | _scaling(gguf)
    if gguf.architecture != "gemma3":
        return scaled
    local = {"rope_type": "default", "rope_theta": float(gguf.own("rope.freq_base_swa", 10_000.0))}
    return {"full_attention": scaled, "sliding_attention": local}


def _original_length(gguf: Gguf) -> int:
    """The context length before it was extended."""
    return int(gguf.own("rope.scaling.original_context_length") or gguf.own("context_length"))


def _scaling_type(gguf: Gguf) -> str:
    """none, linear (llama.cpp's default for a factor without a type), yarn, or longrope, which tensors also imply."""
    has_factors = "rope_factors_long.weight" in gguf.tensors
    return str(gguf.own("rope.scaling.type", "longrope" if has_factors else "linear"))


def _is_known_scaling(gguf: Gguf) -> bool:
    """Whether the file's rotary scaling is supported and unambiguous: it has either factors in tensors or a rule."""
    kind, factor = _scaling_type(gguf), gguf.own("rope.scaling.factor", 1.0) or 1.0
    has_pair = {"rope_factors_long.weight", "rope_factors_short.weight"} <= gguf.tensors.keys()
    if "rope_freqs.weight" in gguf.tensors:
        return kind == "none" or (kind == "linear" and factor == 1)
    return has_pair if kind == "longrope" else kind in ("none", "linear", "yarn")


def _scaling(gguf: Gguf) -> dict[str, Any]:
    kind, factor = _scaling_type(gguf), float(gguf.own("rope.scaling.factor", 1.0) or 1.0)
    original = _original_length(gguf)
    strength = float(gguf.own("rope.scaling.attn_factor", 1.0))
    if "rope_freqs.weight" in gguf.tensors:
        return _factors(gguf, gguf.tensors["rope_freqs.weight"].values())
    if kind == "longrope":
        long, short = (gguf.tensors[f"rope_factors_{name}.weight"].values().tolist() for name in ("long", "short"))
        return _long(long, short, original, strength)
    if kind == "linear" and factor != 1:
        return {"rope_type": "linear", "factor": factor}
    if kind == "yarn":
        betas = {f"beta_{name}": gguf.own(f"rope.scaling.yarn_beta_{name}") for name in ("fast", "slow")}
        return {
            "rope_type": "yarn",
            "factor": factor,
            "original_max_position_embeddings": original,
            "attention_factor": strength * (1 + 0.1 * math.log(factor)),
        } | {name: beta for name, beta in betas.items() if beta is not None}
    return {}


def _long(long: list[float], short: list[float], original: int, strength: float) -> dict[str, Any]:
    return {
        "rope_type": "longrope",
        "long_factor": long,
        "short_factor": short,
        "original_max_position_embeddings": original,
        "attention_factor": strength,
    }


def _factors(gguf: Gguf, factors: Any) -> dict[str, Any]:
    """The rule of Llama 3.1 and later, if it gives these factors, as it holds for every length; else the factors."""
    import numpy

    base, size = float(gguf.own("rope.freq_base", 10_000.0)), _head_size(gguf)
    rule = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    lengths = 2 * math.pi * base ** (numpy.arange(0, size, 2) / size)
    factor = float(factors.max())
    share = numpy.clip((8192 / lengths - 1) / 3, 0, 1)
    if numpy.allclose(1 / ((1 - share) / factor + share), factors, rtol=1e-4):
        return {"rope_type": "llama3", "factor": factor, **rule}
    same = factors.tolist()
    return _long(same, same, gguf.own("context_length"), 1.0)
