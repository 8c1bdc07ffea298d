"""Attention of a decoding step that reads the keys and values where the block tables say they are.

transformers copies all keys and values of a step together before its attention reads them. This kernel does not need
the copy, and writes the new keys and values into the cache itself. Each program computes a part of a request's keys, so
that one long request occupies the whole GPU; a second kernel joins the parts.
Source of the method: https://crfm.stanford.edu/2023/10/12/flashdecoding.html
"""

import torch
import triton
import triton.language as tl

_PROGRAMS = 256
"""How many programs are enough to occupy a large GPU."""
_MOST_PARTS = 32
_ROWS = tl.constexpr(16)
"""The fewest rows that tl.dot takes; the heads of a group that share keys are fewer."""


def attend(
    query: torch.Tensor,
    new: tuple[torch.Tensor, torch.Tensor],
    pages: tuple[torch.Tensor, torch.Tensor],
    table: torch.Tensor,
    ends: torch.Tensor,
    scale: float,
) -> torch.Tensor:
    """Attention of one new token per request over its earlier ones and itself, which is added to the cache.

    `query`: [requests, heads, values]; `new`: its keys and values, [requests, key heads, values] each; `pages`: the
    cache of keys and of values, [pages, tokens of a page, key heads, values] each; `table`: the pages of each request,
    int32[requests, most pages]; `ends`: where each request's keys would end if they were packed, the new one included,
    int32[requests + 1]. A request without keys is only padding: its result means nothing. Returns the shape of `query`.
    """
    requests, heads, values = query.shape
    key_heads, page = new[0].size(1), pages[0].size(1)
    parts = max(1, min(_MOST_PARTS, _PROGRAMS // (requests * key_heads)))
    partial = torch.empty(parts, requests, heads, values, dtype=torch.float32, device=query.device)
    weights = torch.empty(parts, requests, heads, dtype=torch.float32, device=query.device)
    padded = triton.next_power_of_2(values)
    _attend_to_part[requests, key_heads, parts](
        *(query, *new, *pages, table, ends, partial, weights, scale),
        *(query.stride(0), query.stride(1), new[0].stride(0), new[0].stride(1), new[1].stride(0), new[1].stride(1)),
        *(pages[0].stride(0), pages[0].stride(1), pages[0].stride(2), table.stride(0)),
        *(heads // key_heads, values, padded, page, 32 if padded > 128 else 64, parts),
    )
    result = torch.empty(requests, heads, values, dtype=query.dtype, device=query.device)
    _join_parts[requests * heads,](partial, weights, result, requests * heads, values, padded, parts)
    return result


@triton.jit
def _attend_to_part(
    query,
    new_key,
    new_value,
    key_pages,
    value_pages,
    table,
    ends,
    partial,
    weights,
    scale,
    query_token: tl.int64,
    query_head: tl.int64,
    key_token: tl.int64,
    key_head: tl.int64,
    value_token: tl.int64,
    value_head: tl.int64,
    page_stride: tl.int64,
    token_stride: tl.int64,
    head_stride: tl.int64,
    table_stride: tl.int64,
    GROUP: tl.constexpr,
    VALUES: tl.constexpr,
    PADDED: tl.constexpr,
    PAGE: tl.constexpr,
    BLOCK: tl.constexpr,
    PARTS: tl.constexpr,
):
    """One part of the keys of one request, for the heads that share a key head. The strides: in elements."""
    request, shared, part = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    rows, columns = tl.arange(0, _ROWS), tl.arange(0, PADDED)
    is_value = columns < VALUES
    is_used = (rows < GROUP)[:, None] & is_value[None, :]
    heads = shared * GROUP + rows
    q = tl.load(query + request * query_token + heads[:, None] * query_head + columns[None, :], mask=is_used, other=0.0)
    earlier = tl.load(ends + request + 1) - tl.load(ends + request) - 1

    highest = tl.full([_ROWS], float("-inf"), tl.float32)
    total = tl.zeros([_ROWS], tl.float32)
    sums = tl.zeros([_ROWS, PADDED], tl.float32)
    if part == 0:
        key = tl.load(new_key + request * key_token + shared * key_head + columns, mask=is_value, other=0.0)
        value = tl.load(new_value + request * value_token + shared * value_head + columns, mask=is_value, other=0.0)
        highest = tl.sum(q.to(tl.float32) * key.to(tl.float32)[None, :], 1) * scale
        total += 1.0
        sums += value.to(tl.float32)[None, :]
        if earlier >= 0:
            page = tl.load(table + request * table_stride + earlier // PAGE).to(tl.int64)
            at = page * page_stride + (earlier % PAGE) * token_stride + shared * head_stride + columns
            tl.store(key_pages + at, key, mask=is_value)
            tl.store(value_pages + at, value, mask=is_value)

    blocks = tl.cdiv(tl.cdiv(earlier, BLOCK), PARTS)
    begin = part * blocks * BLOCK
    end = tl.minimum(begin + blocks * BLOCK, earlier)
    for first in range(begin, end, BLOCK):
        page = tl.load(table + request * table_stride + first // PAGE).to(tl.int64)
        offsets = first + tl.arange(0, BLOCK)
        is_key = offsets < end
        at = page * page_stride + shared * head_stride + (offsets % PAGE)[:, None] * token_stride + columns[None, :]
        is_read = is_key[:, None] & is_value[None, :]
        key = tl.load(key_pages + at, mask=is_read, other=0.0)
        scores = tl.where(is_key[None, :], tl.dot(q, tl.trans(key)) * scale, float("-inf"))
        higher = tl.maximum(highest, tl.max(scores, 1))
        fading, exponentials = tl.exp(highest - higher), tl.exp(scores - higher[:, None])
        value = tl.load(value_pages + at, mask=is_read, other=0.0)
        sums = tl.dot(exponentials.to(value.dtype), value, sums * fading[:, None])
        total = total * fading + tl.sum(exponentials, 1)
        highest = higher

    requests, all_heads = tl.num_programs(0), tl.num_programs(1) * GROUP
    at = (part * requests + request) * all_heads + heads
    tl.store(weights + at, highest + tl.log(total), mask=rows < GROUP)  # -inf for an empty part
    tl.store(partial + at[:, None] * VALUES + columns[None, :], sums / tl.maximum(total, 1e-30)[:, None], mask=is_used)


@triton.jit
def _join_parts(partial, weights, result, count, VALUES: tl.constexpr, PADDED: tl.constexpr, PARTS: tl.constexpr):
    """One head of one request: the sum of its parts, each weighted with its share of the exponentials."""
    head = tl.program_id(0)
    columns = tl.arange(0, PADDED)
    highest = tl.load(weights + head)  # the first part has the new token, so that it is never empty
    for part in range(1, PARTS):
        highest = tl.maximum(highest, tl.load(weights + part * count + head))
    total = 0.0
    sums = tl.zeros([PADDED], tl.float32)
    for part in range(PARTS):
        at = (part * count + head).to(tl.int64)
        weight = tl.exp(tl.load(weights + at) - highest)
        total += weight
        sums += weight * tl.load(partial + at * VALUES + columns, mask=columns < VALUES, other=0.0)
    tl.store(result + head.to(tl.int64) * VALUES + columns, sums / total, mask=columns < VALUES)
