"""Attention over a packed batch of requests, with kernels that are part of PyTorch.

If an attention is not called "flash...", transformers' continuous batching builds a mask over all requests: every
request is then computed against the keys of all requests, without CUDA graphs and without the async mode. The kernels
here take the lengths of the requests instead, and are registered under a name that begins with "flash".
https://huggingface.co/docs/transformers/attention_interface
"""

from functools import partial
from typing import Any, Literal, NamedTuple

import torch
import transformers
from transformers.generation.continuous_batching.cache import ATTN_TYPE_TO_ALLOCATOR, group_layers_by_attn_type
from transformers.masking_utils import flash_attention_mask

Kernel = Literal["flash", "efficient", "one by one"]
_MOST_HEAD_VALUES = 256
_MOST_DIFFERENCE = 0.02
_CAUSAL_FROM_BOTTOM_RIGHT = 2  # of aten::_efficient_attention_forward's mask types


class Choice(NamedTuple):
    """The name of an attention implementation in transformers, and why it was chosen, for the log.

    `has_block_tables`: whether its decoding steps use the cache where it is, with triton_attention.
    """

    name: str
    why: str
    has_block_tables: bool = False


def chosen(model: Any) -> Choice:
    """Choose and register the attention for a loaded model on its device.

    The kernel is first run on random values with the model's shape, and compared with a plain computation.
    """
    config, device = model.config.get_text_config(), model.device
    if what := _unsupported(model, config):
        return Choice(model.config._attn_implementation, f"as no packed kernel has {what}")
    kernel, why = _kernel(device, model.dtype, has_window=bool(getattr(config, "sliding_window", None)))
    if kernel is None:
        return Choice(model.config._attn_implementation, why)
    try:
        difference = _difference(kernel, config, device, model.dtype)
    except Exception as error:
        return Choice(model.config._attn_implementation, f"as PyTorch's {kernel} kernel fails here: {error}")
    if not difference < _MOST_DIFFERENCE:
        return Choice(model.config._attn_implementation, f"as PyTorch's {kernel} kernel is {difference:.3f} off here")
    name = f"flash_packed_{kernel.replace(' ', '_')}"
    transformers.AttentionInterface.register(name, partial(_forward, kernel))
    transformers.AttentionMaskInterface.register(name, flash_attention_mask)
    if obstacle := _obstacle_to_block_tables(config, device, model.dtype):
        return Choice(name, f"{why}; for decoding too, as {obstacle}")
    return Choice(name, f"{why}; a kernel that reads block tables for decoding", has_block_tables=True)


def _unsupported(model: Any, config: Any) -> str | None:
    """What the model's attention needs and the kernels do not support; None if there is nothing."""
    if getattr(config, "attn_logit_softcapping", None):
        return "soft-capped scores"
    if any(name.endswith(".sinks") for name, _ in model.named_parameters()):
        return "attention sinks"
    if not getattr(model, "_supports_flash_attn", False):
        return f"been made for the architecture {config.model_type}"
    head = _head_values(config)
    return f"heads of {head} values" if head % 8 or head > _MOST_HEAD_VALUES else None


def _kernel(device: torch.device, dtype: torch.dtype, has_window: bool) -> tuple[Kernel | None, str]:
    """The fastest kernel for a device, and why it was chosen."""
    if device.type != "cuda":
        return "one by one", "one request after another, as on every CPU"
    major, minor = torch.cuda.get_device_capability(device)
    if dtype == torch.float32:
        return None, "as float32 has no packed kernel"
    if major >= 8:
        return "flash", f"PyTorch's flash kernel, which compute capability {major}.{minor} has"
    if has_window:
        return None, f"as compute capability {major}.{minor} has no packed kernel with a sliding window"
    return "efficient", f"PyTorch's memory-efficient kernel, as compute capability {major}.{minor} has no flash kernel"


def _obstacle_to_block_tables(config: Any, device: torch.device, dtype: torch.dtype) -> str | None:
    """Why the kernel that reads block tables cannot be used; None if it can."""
    if device.type != "cuda":
        return "CPUs have no block tables"
    if not all(ATTN_TYPE_TO_ALLOCATOR[kind].supports_block_table for kind in group_layers_by_attn_type(config)):
        return "a sliding window has no block tables"
    try:
        difference = _paged_difference(config, device, dtype)
    except Exception as error:
        return f"Triton fails here: {error}"
    return None if difference < _MOST_DIFFERENCE else f"the kernel that reads block tables is {difference:.3f} off here"


def _forward(
    kernel: Kernel,
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    cache: Any = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of all requests of a step: [1, heads, tokens, values] in, [1, tokens, heads, values] out."""
    key, value = cache.update(key_states=key, value_states=value, layer_idx=module.layer_idx, kwargs=kwargs)
    packed = [tensor.squeeze(0).transpose(0, 1) for tensor in (query, key, value)]
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    if kwargs.get("block_table") is not None:
        from models.tasks.text_generation.engines import triton_attention

        cached = (kwargs["k_cache"], kwargs["v_cache"]), kwargs["block_table"], kwargs["cu_seq_lens_k"]
        return triton_attention.attend(packed[0], (packed[1], packed[2]), *cached, scale).unsqueeze(0), None
    lengths = kwargs["cu_seq_lens_q"].to(torch.int32), kwargs["cu_seq_lens_k"].to(torch.int32)
    # An upper bound of the number of keys. It is the same at every step, so that a CUDA graph works for every length.
    longest = kwargs["max_length_q"], cache.max_tokens_read + cache.max_batch_tokens
    return attend(kernel, packed, lengths, longest, scale, sliding_window).unsqueeze(0), None


def attend(
    kernel: Kernel,
    packed: list[torch.Tensor],
    lengths: tuple[torch.Tensor, torch.Tensor],
    longest: tuple[int, int],
    scale: float,
    window: int | None,
) -> torch.Tensor:
    """Causal attention of each request over its own keys; the last query of a request sees its last key.

    `packed`: queries [tokens, heads, values], keys and values [keys, key heads, values] of all requests; `lengths`:
    where each request begins in the queries and in the keys, int32[requests + 1] each; `window`: the most keys that a
    query sees, its own included. Returns [tokens, heads, values].
    """
    query, key, value = packed
    if kernel == "flash":
        left = None if window is None else window - 1
        return torch.ops.aten._flash_attention_forward(
            *packed, *lengths, *longest, 0.0, True, False, scale=scale, window_size_left=left, window_size_right=0
        )[0]
    if kernel == "efficient":
        groups = query.size(1) // key.size(1)
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
        batch = [tensor.unsqueeze(0) for tensor in (query, key, value)]
        return torch.ops.aten._efficient_attention_forward(
            *batch, None, *lengths, *longest, 0.0, _CAUSAL_FROM_BOTTOM_RIGHT, scale=scale
        )[0].squeeze(0)
    return _one_by_one(query, key, value, lengths, scale, window)


def _one_by_one(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    lengths: tuple[torch.Tensor, torch.Tensor],
    scale: float,
    window: int | None,
) -> torch.Tensor:
    """The plain computation, one request after another: used on CPUs, and as the reference for the kernels."""
    result = torch.zeros_like(query)
    starts, key_starts = (one.tolist() for one in lengths)
    for begin, end, key_begin, key_end in zip(starts, starts[1:], key_starts, key_starts[1:], strict=False):
        if begin == end:
            continue
        one = (query[begin:end], key[key_begin:key_end], value[key_begin:key_end])
        count, keys = end - begin, key_end - key_begin
        mask = None
        if count > 1 or (window is not None and keys > window):
            distance = torch.arange(keys - count, keys).unsqueeze(1) - torch.arange(keys)
            mask = ((distance >= 0) & (distance < (window or keys))).to(query.device)
        result[begin:end] = torch.nn.functional.scaled_dot_product_attention(
            *(tensor.transpose(0, 1).unsqueeze(0) for tensor in one), attn_mask=mask, scale=scale, enable_gqa=True
        )[0].transpose(0, 1)
    return result


def _head_values(config: Any) -> int:
    values: int = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return values


def _key_heads(config: Any) -> int:
    heads: int = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    return heads


def _difference(kernel: Kernel, config: Any, device: torch.device, dtype: torch.dtype) -> float:
    """The largest difference between a kernel and the plain computation in float32, on random values.

    Four requests: a prefill, a decoding step, a continued prefill, and one that is only padding.
    """
    if kernel == "one by one":
        return 0.0
    random = torch.Generator(device).manual_seed(1)
    key_heads = _key_heads(config)
    queries, keys = torch.tensor([0, 40, 41, 60, 60]), torch.tensor([0, 40, 340, 440, 440])
    shapes = [(60, config.num_attention_heads), (440, key_heads), (440, key_heads)]
    packed = [
        torch.randn(*shape, _head_values(config), device=device, dtype=dtype, generator=random) for shape in shapes
    ]
    lengths = queries.to(device, torch.int32), keys.to(device, torch.int32)
    window = getattr(config, "sliding_window", None)
    arguments = lengths, (60, 4096), _head_values(config) ** -0.5, window
    expected = attend("one by one", [tensor.float() for tensor in packed], *arguments)
    return float((attend(kernel, packed, *arguments).float() - expected).abs().max())


def _paged_difference(config: Any, device: torch.device, dtype: torch.dtype) -> float:
    """The same for the kernel that reads block tables: a request of one token, and one with pages in any order."""
    from models.tasks.text_generation.engines import triton_attention

    random = torch.Generator(device).manual_seed(1)
    heads, key_heads, values = config.num_attention_heads, _key_heads(config), _head_values(config)
    shapes = [(2, heads), (2, key_heads), (2, key_heads), (3, 64, key_heads), (3, 64, key_heads)]
    query, *new, key_pages, value_pages = (
        torch.randn(*shape, values, device=device, dtype=dtype, generator=random) for shape in shapes
    )
    table = torch.tensor([[1, -1], [2, 0]], dtype=torch.int32, device=device)
    ends = torch.tensor([0, 1, 101], dtype=torch.int32, device=device)
    pages = (key_pages, value_pages)
    found = triton_attention.attend(query, (new[0], new[1]), pages, table, ends, values**-0.5)
    packed = [torch.cat([own[:1], page[2], page[0, :35], own[1:]]) for own, page in zip(new, pages, strict=True)]
    lengths = torch.tensor([0, 1, 2]), ends
    expected = _one_by_one(query.float(), packed[0].float(), packed[1].float(), lengths, values**-0.5, None)
    was_written = all(torch.equal(page[0, 35], own[1]) for own, page in zip(new, pages, strict=True))
    return float((found.float() - expected).abs().max()) if was_written else torch.inf
