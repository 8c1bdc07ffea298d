"""The facts of a model, read from its config.json and the headers of its weights, or from the header of its GGUF.

https://huggingface.co/docs/transformers/main_classes/configuration, https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import json
import re
from collections.abc import Collection, Mapping
from math import prod
from pathlib import Path
from typing import Any

from models.errors import WeightsError
from models.facts import AdapterFacts, Facts
from models.weights import completeness, formats, gguf_format
from models.weights.gguf_format import Gguf

CONFIG = "config.json"
_NO_PARAMETERS = re.compile(r"\.attn\.(masked_)?bias$|inv_freq$|rope_(freqs|factors)")
"""Tensors without learned values: GPT-2's causal masks, and the frequencies of rotary positions."""
_TABLES = ("token_embd.weight", "output.weight")
_LEFT_OUT = {"gemma3_text": {"max_position_embeddings": 131_072}}
"""By model_type: defaults of the class for keys that the config.json of a multimodal checkpoint leaves out."""


def read(names: Collection[str], folder: Path) -> Facts:
    """The facts of the model whose files are in `folder`. The headers of its weights are enough.

    Raises:
        WeightsError: a header is malformed.
    """
    if formats.ADAPTER_CONFIG in names and CONFIG not in names:
        return Facts(adapter=_of_adapter(folder / formats.ADAPTER_CONFIG))
    ggufs = completeness.ggufs(names)
    if len(ggufs) == 1:
        return _of_gguf(gguf_format.read(folder / ggufs[0]))
    tensors = [one for name in names if formats.is_weights(name) for one in formats.tensors(folder / name)]
    shapes = {tensor.name: tensor.shape for tensor in tensors}
    counted = sum(tensor.parameters for tensor in tensors if not _NO_PARAMETERS.search(tensor.name))
    content = json.loads((folder / CONFIG).read_text(encoding="utf-8")) if CONFIG in names else {}
    config = content if isinstance(content, dict) else {}
    text = config.get("text_config") or {}  # of a multimodal model
    return _of_config(text if "num_hidden_layers" in text else config, shapes).model_copy(
        update={
            "parameters": counted or None,
            "embedding_parameters": _of_tokens(shapes, (text or config).get("vocab_size")),
            "quantization": (config.get("quantization_config") or {}).get("quant_method"),
            "is_encoder_decoder": bool(config.get("is_encoder_decoder")),
            "has_code": bool(config.get("auto_map")),
        }
    )


def _of_tokens(shapes: Mapping[str, tuple[int, ...]], vocabulary: Any) -> int | None:
    """The values of all tables with a row for each token: embeddings, and an output layer of its own."""
    return sum(prod(shape) for shape in shapes.values() if len(shape) == 2 and shape[0] == vocabulary) or None


def _of_adapter(path: Path) -> AdapterFacts:
    keys = {"peft_type": "peft_type", "task_type": "task_type", "rank": "r", "base": "base_model_name_or_path"}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        return AdapterFacts(**{ours: config.get(theirs) for ours, theirs in keys.items()})
    except (AttributeError, ValueError) as error:
        raise WeightsError(f"{path.name} is no configuration of peft: take the adapter from another source") from error


def _of_gguf(gguf: Gguf) -> Facts:
    heads = gguf.own("attention.head_count_kv") or gguf.own("attention.head_count")
    query_heads = _one(gguf.own("attention.head_count"))
    context = gguf.own("context_length")
    window = gguf.own("attention.sliding_window")
    counted = [tensor for name, tensor in gguf.tensors.items() if not _NO_PARAMETERS.search(name)]
    return Facts(
        architecture=gguf.architecture or None,
        parameters=sum(tensor.parameters for tensor in counted) or None,
        embedding_parameters=sum(tensor.parameters for name, tensor in gguf.tensors.items() if name in _TABLES) or None,
        layers=gguf.own("block_count"),
        kv_heads=_one(heads),
        head_dim=gguf.own("attention.key_length") or _share(gguf.own("embedding_length"), query_heads),
        context_length=context,
        sliding_window=window if window and context and window < context else None,
    )


def _of_config(config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> Facts:
    config = {**_LEFT_OUT.get(str(config.get("model_type")), {}), **config}
    heads = _first(config, "num_attention_heads", "n_head", "num_heads")
    width = _first(config, "hidden_size", "n_embd", "d_model", "dim")
    head_dim = _first(config, "head_dim") or _width_of(shapes, "k_norm.weight") or _share(width, heads)
    kv_heads = 1 if config.get("multi_query") else _first(config, "num_key_value_heads", "num_kv_heads")
    kv_heads = kv_heads or heads or _share(_width_of(shapes, "k_proj.weight"), head_dim)
    if latent := _first(config, "qk_nope_head_dim"):  # the cache has the keys and values made from the latent ones
        kv_heads = heads
        head_dim = max(latent + (_first(config, "qk_rope_head_dim") or 0), config.get("v_head_dim") or 0)
    is_windowed = config.get("use_sliding_window") is not False
    return Facts(
        architecture=config.get("model_type"),
        layers=_first(config, "num_hidden_layers", "n_layer", "num_layers", "n_layers"),
        kv_heads=kv_heads,
        head_dim=head_dim,
        context_length=_first(
            config,
            "max_position_embeddings",
            "n_positions",
            "seq_length",
            "n_ctx",
            "max_seq_len",
            "max_sequence_length",
        ),
        sliding_window=_first(config, "sliding_window") if is_windowed else None,
    )


def _first(config: Mapping[str, Any], *keys: str) -> int | None:
    return next((config[key] for key in keys if isinstance(config.get(key), int) and config[key] > 0), None)


def _one(count: Any) -> int | None:
    """A count for all layers; the largest if it differs by layer."""
    return max(count, default=None) if isinstance(count, list) else count


def _share(whole_width: int | None, parts: int | None) -> int | None:
    return whole_width // parts if whole_width and parts else None


def _width_of(shapes: Mapping[str, tuple[int, ...]], ending: str) -> int | None:
    """The rows of the first tensor of a language model whose name has this ending."""
    return next((shape[0] for name, shape in shapes.items() if name.endswith(ending) and "vision" not in name), None)
