"""The choice of the next token as one Triton kernel. request_sampling.py has the same as PyTorch's operations.

Those are about 200 kernels that each read all scores from memory. Here one program reads the scores of its request as
often as the request needs it: once if it is greedy.
"""

import torch
import triton
import triton.language as tl

_BLOCK = 8192
_WARPS = 16
_HALVINGS = 24


def chosen(
    scores: torch.Tensor,
    newest: torch.Tensor,
    factors: torch.Tensor,
    penalties: torch.Tensor,
    arguments: torch.Tensor,
) -> torch.Tensor:
    """The next token of each request, int64[requests].

    `scores`: float32[requests, vocabulary]; `newest`: the newest token of each request, int[requests]; `factors` and
    `penalties`: of RepetitionPenalty; `arguments`: what request_sampling's processors prepare for each request,
    int32[5, requests]: its row of factors, temperature, top_k, top_p and key, of which two are the bits of a float32.
    """
    requests, vocabulary = scores.shape
    winners = torch.empty(requests, dtype=torch.int64, device=scores.device)
    _choose[requests,](
        *(scores, newest, factors, penalties, arguments, arguments.view(torch.float32), winners, vocabulary),
        *(scores.stride(0), factors.stride(0), arguments.stride(0), _BLOCK, _HALVINGS // 2),
        num_warps=_WARPS,
    )
    return winners


@triton.jit
def _choose(
    scores,
    newest,
    factors,
    penalties,
    arguments,
    shares,
    winners,
    vocabulary,
    score_stride: tl.int64,
    factor_stride: tl.int64,
    argument_stride: tl.int64,
    BLOCK: tl.constexpr,
    STEPS: tl.constexpr,
):
    """One request. `shares`: the arguments as float32."""
    request = tl.program_id(0)
    row = tl.load(arguments + request)
    temperature = tl.load(shares + argument_stride + request)
    top_k = tl.load(arguments + 2 * argument_stride + request)
    top_p = tl.load(shares + 3 * argument_stride + request)
    key = tl.load(arguments + 4 * argument_stride + request)
    own, own_factors = scores + request * score_stride, factors + row * factor_stride
    latest, penalty = tl.load(newest + request), tl.load(penalties + row)
    lanes = tl.arange(0, BLOCK)

    best = tl.full([BLOCK], float("-inf"), tl.float32)
    where = tl.zeros([BLOCK], tl.int32)
    for first in range(0, vocabulary, BLOCK):
        ids = first + lanes
        values = _scaled(own, own_factors, ids, vocabulary, row, latest, penalty, temperature)
        where = tl.where(values > best, ids, where)
        best = tl.maximum(values, best)
    highest = tl.max(best, 0)

    if key != 0:
        # A score that exactly top_k scores reach, or with equal scores the highest that more reach: two bits at a time.
        lowest = tl.full([], -2147483648, tl.int32)
        if top_k < vocabulary:
            reached, unit, count = tl.zeros([], tl.int64), tl.full([], 1 << 30, tl.int64), vocabulary
            while (unit > 0) & (count != top_k):
                one = tl.zeros([BLOCK], tl.int32)
                two = tl.zeros([BLOCK], tl.int32)
                three = tl.zeros([BLOCK], tl.int32)
                for first in range(0, vocabulary, BLOCK):
                    values = _scaled(own, own_factors, first + lanes, vocabulary, row, latest, penalty, temperature)
                    ranks = _rank(values).to(tl.int64) + 2147483648 - reached
                    one += (ranks >= unit).to(tl.int32)
                    two += (ranks >= 2 * unit).to(tl.int32)
                    three += (ranks >= 3 * unit).to(tl.int32)
                reached, count = _further(reached, count, tl.sum(one, 0), top_k, unit)
                reached, count = _further(reached, count, tl.sum(two, 0), top_k, unit)
                reached, count = _further(reached, count, tl.sum(three, 0), top_k, unit)
                unit = unit >> 2
            lowest = (reached - 2147483648).to(tl.int32)

        if top_p < 1:
            sums = tl.zeros([BLOCK], tl.float32)
            for first in range(0, vocabulary, BLOCK):
                values = _scaled(own, own_factors, first + lanes, vocabulary, row, latest, penalty, temperature)
                sums += tl.where(_rank(values) >= lowest, tl.exp(values - highest), 0.0)
            total = tl.sum(sums, 0)
            # The lowest score that is kept is between these two, which are logarithms of shares of `total`.
            low, high = tl.log((1 - top_p) / (2 * vocabulary)), -tl.log(total)
            for _ in range(STEPS):
                width = (high - low) / 4
                one = tl.zeros([BLOCK], tl.float32)
                two = tl.zeros([BLOCK], tl.float32)
                three = tl.zeros([BLOCK], tl.float32)
                for first in range(0, vocabulary, BLOCK):
                    values = _scaled(own, own_factors, first + lanes, vocabulary, row, latest, penalty, temperature)
                    logs = tl.where(_rank(values) >= lowest, values - highest - tl.log(total), float("-inf"))
                    probabilities = tl.exp(logs)
                    one += tl.where(logs >= low + width, probabilities, 0.0)
                    two += tl.where(logs >= low + 2 * width, probabilities, 0.0)
                    three += tl.where(logs >= low + 3 * width, probabilities, 0.0)
                enough = (tl.sum(one, 0) >= top_p).to(tl.float32)
                enough += (tl.sum(two, 0) >= top_p).to(tl.float32)
                enough += (tl.sum(three, 0) >= top_p).to(tl.float32)
                low += enough * width
                high = low + width
            lowest = tl.maximum(lowest, _rank(low + highest + tl.log(total)))

        best = tl.full([BLOCK], float("-inf"), tl.float32)
        for first in range(0, vocabulary, BLOCK):
            ids = first + lanes
            values = _scaled(own, own_factors, ids, vocabulary, row, latest, penalty, temperature)
            bits = _mixed(key.to(tl.uint32, bitcast=True) ^ _mixed((ids + 1).to(tl.uint32))) >> 9
            noise = -tl.log(-tl.log((bits.to(tl.float32) + 0.5) / 8388608.0))
            values = tl.where(_rank(values) >= lowest, values + noise, float("-inf"))
            where = tl.where(values > best, ids, where)
            best = tl.maximum(values, best)

    best_of_all = tl.max(best, 0)
    tl.store(winners + request, tl.min(tl.where(best == best_of_all, where, vocabulary), 0).to(tl.int64))


@triton.jit
def _further(reached, count, counted, top_k, unit):
    """Go up by a unit if at least top_k scores are that high; `counted`: how many are."""
    is_enough = counted >= top_k
    return tl.where(is_enough, reached + unit, reached), tl.where(is_enough, counted, count)


@triton.jit
def _scaled(scores, factors, ids, vocabulary, row, latest, penalty, temperature):
    """The scores of some tokens after the penalty and the temperature; -inf outside the vocabulary."""
    values = tl.load(scores + ids, mask=ids < vocabulary, other=float("-inf"))
    if row > 0:
        factor = tl.load(factors + ids, mask=ids < vocabulary, other=1.0)
        factor = tl.where(ids == latest, penalty, factor)
        values = tl.where(values > 0, values / factor, values * factor)
    return values / temperature


@triton.jit
def _rank(values):
    """Integers in the same order as the float32 values."""
    bits = values.to(tl.int32, bitcast=True)
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


@triton.jit
def _mixed(values):
    """MurmurHash3's finaliser for uint32."""
    values = (values ^ (values >> 16)) * 0x85EBCA6B
    values = (values ^ (values >> 13)) * 0xC2B2AE35
    return values ^ (values >> 16)
