"""Triton kernels for the parts of a layer that are several kernels in a model's own code."""

import torch
import triton
import triton.language as tl

_BLOCK = 1024


def norm(hidden: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    """RMSNorm over the last dimension, rounded once: https://arxiv.org/abs/1910.07467."""
    count = weight.numel()
    rows = hidden.reshape(-1, count)
    result = torch.empty(hidden.shape, dtype=hidden.dtype, device=hidden.device)
    padded = triton.next_power_of_2(count)
    _norm[rows.size(0),](rows, weight, result, epsilon, rows.stride(0), count, padded, num_warps=_warps(padded))
    return result


def silu_and_multiply(both: torch.Tensor) -> torch.Tensor:
    """silu(gate) * up, rounded once, where `both` is [..., gate and up]: https://arxiv.org/abs/2002.05202."""
    values = both.size(-1) // 2
    result = torch.empty(*both.shape[:-1], values, dtype=both.dtype, device=both.device)
    rows = both.reshape(-1, 2 * values)
    _silu_and_multiply[rows.size(0), triton.cdiv(values, _BLOCK)](rows, result, values, _BLOCK)
    return result


def rotate(
    query: torch.Tensor, key: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotary embedding of the queries and keys in [1, heads, tokens, values], by half of the values each.

    `cosines` and `sines`: [1, tokens, values], whose halves are equal. Source: https://arxiv.org/abs/2104.09864.
    """
    query, key = (tensor[0].transpose(0, 1) for tensor in (query, key))
    (tokens, heads, values), key_heads = query.shape, key.size(1)
    results = [torch.empty(tensor.shape, dtype=tensor.dtype, device=tensor.device) for tensor in (query, key)]
    group = heads // key_heads
    _rotate[tokens, key_heads](
        *(query, key, cosines, sines, *results),
        *(query.stride(0), query.stride(1), key.stride(0), key.stride(1), cosines.stride(1), sines.stride(1)),
        *(group, triton.next_power_of_2(group), values // 2, triton.next_power_of_2(values // 2)),
    )
    turned, turned_key = (result.transpose(0, 1).unsqueeze(0) for result in results)
    return turned, turned_key


def _warps(values: int) -> int:
    return max(1, min(16, values // 256))


@triton.jit
def _norm(hidden, weight, result, epsilon, stride: tl.int64, COUNT: tl.constexpr, PADDED: tl.constexpr):
    """One row."""
    row, columns = tl.program_id(0).to(tl.int64), tl.arange(0, PADDED)
    inside = columns < COUNT
    values = tl.load(hidden + row * stride + columns, mask=inside, other=0.0).to(tl.float32)
    scales = tl.load(weight + columns, mask=inside, other=0.0).to(tl.float32)
    normed = values * tl.rsqrt(tl.sum(values * values, 0) / COUNT + epsilon)
    tl.store(result + row * COUNT + columns, normed * scales, mask=inside)


@triton.jit
def _silu_and_multiply(both, result, count, BLOCK: tl.constexpr):
    """A part of one row."""
    row, columns = tl.program_id(0).to(tl.int64), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = columns < count
    gate = tl.load(both + row * 2 * count + columns, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(both + (row * 2 + 1) * count + columns, mask=inside, other=0.0).to(tl.float32)
    tl.store(result + row * count + columns, gate * tl.sigmoid(gate) * up, mask=inside)


@triton.jit
def _rotate(
    query,
    key,
    cosines,
    sines,
    query_result,
    key_result,
    query_token: tl.int64,
    query_head: tl.int64,
    key_token: tl.int64,
    key_head: tl.int64,
    cosine_token: tl.int64,
    sine_token: tl.int64,
    GROUP: tl.constexpr,
    ROWS: tl.constexpr,
    HALF: tl.constexpr,
    PADDED: tl.constexpr,
):
    """One token: a key head, and the heads of queries that share it."""
    token, shared, key_heads = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.num_programs(1)
    columns, rows = tl.arange(0, PADDED), tl.arange(0, ROWS)
    is_value = columns < HALF
    cosine = tl.load(cosines + token * cosine_token + columns, mask=is_value, other=0.0).to(tl.float32)
    sine = tl.load(sines + token * sine_token + columns, mask=is_value, other=0.0).to(tl.float32)
    at = key + token * key_token + shared * key_head + columns
    to = key_result + (token * key_heads + shared) * 2 * HALF + columns
    _turn(at, to, cosine, sine, is_value, HALF)
    heads, inside = (shared * GROUP + rows)[:, None], (rows < GROUP)[:, None] & is_value[None, :]
    at_heads = query + token * query_token + heads * query_head + columns[None, :]
    to_heads = query_result + (token * key_heads * GROUP + heads) * 2 * HALF + columns[None, :]
    _turn(at_heads, to_heads, cosine[None, :], sine[None, :], inside, HALF)


@triton.jit
def _turn(at, to, cosine, sine, inside, HALF: tl.constexpr):
    """Turn the pairs whose first and second values are HALF apart."""
    first = tl.load(at, mask=inside, other=0.0).to(tl.float32)
    second = tl.load(at + HALF, mask=inside, other=0.0).to(tl.float32)
    tl.store(to, first * cosine - second * sine, mask=inside)
    tl.store(to + HALF, second * cosine + first * sine, mask=inside)
