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
from models.weights import formats, gguf_format, whole
from models.weights.gguf_format import Gguf

CONFIG = "config.json"
_NO_PARAMETERS = re.compile(r"\.attn\.(masked_)?bias$|inv_freq$|rope_(freqs|factors)")
"""Tensors that nothing was learned in: GPT-2's causal masks, and the frequencies of rotary positions."""
_TABLES = ("token_embd.weight", "output.weight")
_LEFT_OUT = {"gemma3_text": {"max_position_embeddings": 131_072}}
"""What the config.json of a multimodal checkpoint leaves out, as its class has it by default, by model_type."""


def read(names: Collection[str], folder: Path) -> Facts:
    """The facts of the model whose files are in `folder`; of its weights the headers are enough.

    Raises:
        WeightsError: a header is malformed.
    """
    if formats.ADAPTER_CONFIG in names and CONFIG not in names:
        return Facts(adapter=_of_adapter(folder / formats.ADAPTER_CONFIG))
    ggufs = whole.ggufs(names)
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
        said = json.loads(path.read_text(encoding="utf-8"))
        return AdapterFacts(**{ours: said.get(theirs) for ours, theirs in keys.items()})
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


def _of_config(said: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> Facts:
    said = {**_LEFT_OUT.get(str(said.get("model_type")), {}), **said}
    heads = _first(said, "num_attention_heads", "n_head", "num_heads")
    width = _first(said, "hidden_size", "n_embd", "d_model", "dim")
    head_dim = _first(said, "head_dim") or _width_of(shapes, "k_norm.weight") or _share(width, heads)
    kv_heads = 1 if said.get("multi_query") else _first(said, "num_key_value_heads", "num_kv_heads")
    kv_heads = kv_heads or heads or _share(_width_of(shapes, "k_proj.weight"), head_dim)
    if latent := _first(said, "qk_nope_head_dim"):  # the cache holds what is made of the latent values
        kv_heads, head_dim = heads, max(latent + (_first(said, "qk_rope_head_dim") or 0), said.get("v_head_dim") or 0)
    is_windowed = said.get("use_sliding_window") is not False
    return Facts(
        architecture=said.get("model_type"),
        layers=_first(said, "num_hidden_layers", "n_layer", "num_layers", "n_layers"),
        kv_heads=kv_heads,
        head_dim=head_dim,
        context_length=_first(
            said, "max_position_embeddings", "n_positions", "seq_length", "n_ctx", "max_seq_len", "max_sequence_length"
        ),
        sliding_window=_first(said, "sliding_window") if is_windowed else None,
    )


def _first(said: Mapping[str, Any], *keys: str) -> int | None:
    return next((said[key] for key in keys if isinstance(said.get(key), int) and said[key] > 0), None)


def _one(count: Any) -> int | None:
    """A count for all layers; of those that differ by layer the largest."""
    return max(count, default=None) if isinstance(count, list) else count


def _share(whole_width: int | None, parts: int | None) -> int | None:
    return whole_width // parts if whole_width and parts else None


def _width_of(shapes: Mapping[str, tuple[int, ...]], ending: str) -> int | None:
    """The rows of the first tensor of a language model whose name has this ending."""
    return next((shape[0] for name, shape in shapes.items() if name.endswith(ending) and "vision" not in name), None)
