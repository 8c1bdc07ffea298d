"""Sampling for transformers' continuous batching with parameters and a seed for each request.

The library has temperature, top_k and top_p per request. The two processors here add the repetition penalty and the
seed: the noise depends only on a request's seed and position, so other requests in the batch do not change it. In the
async mode a step is prepared before the tokens of the last step are known on the host: they are only on the device.
"""

from typing import Any, TypeVar

import torch
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessor,
    ContinuousBatchingLogitsProcessorList,
    ContinuousBatchingTemperatureLogitsWarper,
    ContinuousBatchingTopKLogitsWarper,
    ContinuousBatchingTopPLogitsWarper,
)
from transformers.generation.logits_process import (
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from models.tasks.text_generation.engines.interface import Sampling

MOST_TOP_K = 1024
_HALVINGS = 24
_MASK = 0xFFFFFFFF
_GREEDY = -1
_Integers = TypeVar("_Integers", int, torch.Tensor)


def processors(max_requests: int, vocabulary: int, device: torch.device) -> ContinuousBatchingLogitsProcessorList:
    """All processors, in the order in which transformers' generate applies them."""
    chain = _Chain(LogitsProcessorList())
    chain.logits_processor = LogitsProcessorList(
        [
            RepetitionPenalty(max_requests, vocabulary, device),
            ContinuousBatchingTemperatureLogitsWarper(TemperatureLogitsWarper(1.0)),
            TopK(TopKLogitsWarper(vocabulary)),
            TopP(TopPLogitsWarper(1.0)),
            SeededChoice(),
        ]
    )
    chain.tensors_required = len(chain.logits_processor)
    chain.do_processing = True
    chain._retrieve_processors_kwargs()
    return chain


def arguments(sampling: Sampling, vocabulary: int) -> dict[str, Any]:
    """A request's keyword arguments for these processors.

    A `top_k` above MOST_TOP_K counts as MOST_TOP_K; 0 means all tokens.
    """
    greedy = sampling.temperature == 0
    return {
        "repetition_penalty": float(sampling.repetition_penalty),
        "temperature": 1.0 if greedy else float(sampling.temperature),
        "top_k": vocabulary if greedy or not sampling.top_k else min(sampling.top_k, MOST_TOP_K, vocabulary),
        "top_p": 1.0 if greedy else float(sampling.top_p),
        "seed": _GREEDY if greedy else sampling.seed,
    }


class _Chain(ContinuousBatchingLogitsProcessorList):  # type: ignore[misc]
    """Passes the newest token of each request to the first processor, the penalty. When fused, one kernel does all."""

    _is_fused = False

    def fuse(self, vocabulary: int, device: torch.device) -> str:
        """Use the kernel of triton_sampling if it chooses the same tokens on a sample; says what runs, for the log."""
        random = torch.Generator(device).manual_seed(1)
        scores = torch.randn(4, vocabulary, device=device, generator=random)
        shares = torch.tensor([[1, 0.7, 2, 1], [1, 1, 0.9, 0.5]], device=device).view(torch.int32)
        rows, keys = torch.zeros(4, dtype=torch.int32, device=device), torch.tensor([0, 5, 6, -7], device=device)
        top_k = torch.tensor([vocabulary, 50, vocabulary, 7], device=device)
        arguments = torch.stack([rows, shares[0], top_k, shares[1], keys]).to(torch.int32)
        try:
            self._is_fused = True
            chosen = self(rows, scores, arguments).argmax(-1)
        except Exception as error:
            self._is_fused = False
            return f"PyTorch's operations choose the next token, as Triton fails here: {error}"
        self._is_fused = False
        self._is_fused = torch.equal(chosen, self(rows, scores, arguments).argmax(-1))
        differs = "PyTorch's operations choose the next token, as the kernel chooses another one here"
        return "one kernel chooses the next token" if self._is_fused else differs

    def __call__(
        self, input_ids: torch.Tensor, scores: torch.Tensor, logits_processor_args: torch.Tensor
    ) -> torch.Tensor:
        penalty = self.logits_processor[0]
        if self._is_fused:
            from models.tasks.text_generation.engines import triton_sampling

            tables = penalty.factors, penalty.penalties
            return _only(scores, triton_sampling.chosen(scores, input_ids, *tables, logits_processor_args))
        penalty.newest = input_ids
        return super().__call__(input_ids, scores, logits_processor_args)


class RepetitionPenalty(ContinuousBatchingLogitsProcessor):  # type: ignore[misc]
    """Makes tokens that a request already has less likely: divides their positive scores, and multiplies negative ones.

    The device has a row of factors for each request, [max_requests + 1, vocabulary]; requests without a penalty share
    row 0, which is all ones. `newest`: the newest token of each request, int[requests], which its row may not have yet.
    Source: https://arxiv.org/abs/1909.05858, section 4.1.
    """

    supported_kwargs = {"repetition_penalty": float}
    ignored_kwargs: tuple[str, ...] = ()

    def __init__(self, max_requests: int, vocabulary: int, device: torch.device) -> None:
        self.factors = torch.ones(max_requests + 1, vocabulary, dtype=torch.float32, device=device)
        self.penalties = torch.ones(max_requests + 1, dtype=torch.float32, device=device)
        self.newest: torch.Tensor | None = None
        self._free = list(range(max_requests, 0, -1))
        self._rows: dict[str, tuple[int, int]] = {}

    def release(self, request_id: str) -> None:
        """Free the row of a request that has ended."""
        row, _ = self._rows.pop(request_id, (0, 0))
        if row:
            self._free.append(row)

    def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
        int32_tensor.zero_()

    def prepare_tensor_args(self, requests_with_new_token: list[Any]) -> torch.Tensor:
        rows = [self._updated_row(request.state) for request in requests_with_new_token]
        if any(rows) and self.factors.device.type == "cuda":
            torch.cuda.current_stream().synchronize()  # the step runs on a stream of its own
        return torch.tensor(rows, dtype=torch.int32)

    def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:
        rows = tensor_arg[: scores.size(0)].long()
        factors = self.factors[rows]
        if self.newest is not None:
            factors = factors.scatter(1, self.newest.long().unsqueeze(1), self.penalties[rows].unsqueeze(1))
        return torch.where(scores > 0, scores / factors, scores * factors)

    def _updated_row(self, state: Any) -> int:
        penalty = state.logit_processor_kwargs.get("repetition_penalty", 1.0)
        if penalty == 1.0:
            return 0
        tokens = state.initial_tokens + state.generated_tokens
        row, known = self._rows.get(state.request_id, (0, 0))
        if not row:
            row = self._free.pop()
            self.factors[row] = 1.0
            self.penalties[row] = penalty
        new = torch.tensor(tokens[known:], dtype=torch.long, device=self.factors.device)
        self.factors[row, new] = penalty
        self._rows[state.request_id] = (row, len(tokens))
        return row


class TopK(ContinuousBatchingTopKLogitsWarper):  # type: ignore[misc]
    """Keeps the `top_k` highest scores of each request, up to 1,024 of them, or all.

    The library sorts the whole vocabulary for it, for requests that keep all, too.
    """

    def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:
        top_k = tensor_arg[: scores.size(0)].long().unsqueeze(-1)
        highest = scores.topk(min(MOST_TOP_K, scores.size(1)), dim=-1).values
        lowest_kept = highest.gather(-1, top_k.clamp(max=highest.size(1)) - 1)
        lowest_kept = torch.where(top_k > highest.size(1), -torch.inf, lowest_kept)
        return scores.masked_fill(scores < lowest_kept, -torch.inf)


class TopP(ContinuousBatchingTopPLogitsWarper):  # type: ignore[misc]
    """Keeps the fewest highest scores of each request whose probabilities add up to `top_p`.

    The lowest score to keep is found without sorting the vocabulary: the range in which it can be is divided a fixed
    number of times, so that it works inside a CUDA graph. Tokens less than 2e-6 below that score are kept too.
    """

    def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:
        top_p = tensor_arg[: scores.size(0)].view(torch.float32).unsqueeze(-1)
        log_probabilities = scores.log_softmax(dim=-1)
        # A GPU waits for the start of each kernel, a CPU for its memory.
        lowest_kept = lowest_of_top_p(log_probabilities, top_p, parts=4 if scores.is_cuda else 2)
        return scores.masked_fill((log_probabilities < lowest_kept) & (top_p < 1), -torch.inf)


def lowest_of_top_p(log_probabilities: torch.Tensor, top_p: torch.Tensor, parts: int) -> torch.Tensor:
    """The lowest log probability that is kept, [requests, 1]; its range is divided into `parts`, 2 or 4, each time.

    `log_probabilities`: [requests, vocabulary]; `top_p`: [requests, 1].
    """
    probabilities = log_probabilities.exp().unsqueeze(1)
    # Tokens below this probability add up to less than 1 - top_p, even if all tokens had it.
    low = torch.log((1 - top_p) / (2 * log_probabilities.size(1)))
    high = log_probabilities.amax(dim=-1, keepdim=True)
    steps = torch.arange(parts, device=low.device)
    for _ in range(_HALVINGS * 2 // parts):
        width = (high - low) / parts
        bounds = low + width * steps
        is_kept = log_probabilities.unsqueeze(1) >= bounds[:, 1:].unsqueeze(-1)
        is_enough = torch.where(is_kept, probabilities, 0).sum(-1) >= top_p
        low = bounds.gather(-1, is_enough.sum(-1, keepdim=True))
        high = low + width
    return low


class SeededChoice(ContinuousBatchingLogitsProcessor):  # type: ignore[misc]
    """Samples from the distribution of the scores by adding Gumbel noise, and leaves the winner as the only candidate.

    The noise of a token is a hash of (seed, position, token id): it needs no state, so it works inside a CUDA graph. A
    greedy request has the key 0, which means no noise.
    Source of the trick: https://arxiv.org/abs/1411.0030; of the hash: MurmurHash3's 32-bit finaliser.
    """

    supported_kwargs = {"seed": int}
    ignored_kwargs: tuple[str, ...] = ()

    def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
        int32_tensor.zero_()

    def prepare_tensor_args(self, requests_with_new_token: list[Any]) -> torch.Tensor:
        keys = [_key(request.state) for request in requests_with_new_token]
        return torch.tensor(keys, dtype=torch.int64).to(torch.int32)

    def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:
        keys = tensor_arg[: scores.size(0)].long().unsqueeze(-1) & _MASK
        token_ids = torch.arange(scores.size(1), device=scores.device)
        bits = _mixed(keys ^ _mixed(token_ids + 1)) >> 9  # 23 bits: with 0.5 added, they still fit float32
        uniform = (bits.float() + 0.5) / (1 << 23)
        noise = torch.where(keys != 0, -torch.log(-torch.log(uniform)), 0.0)
        return _only(scores, (scores + noise).argmax(dim=-1))


def _only(scores: torch.Tensor, winners: torch.Tensor) -> torch.Tensor:
    """Scores with which only the winner of each request can be chosen."""
    return torch.full_like(scores, -torch.inf).scatter(-1, winners.unsqueeze(-1), 0.0)


def _key(state: Any) -> int:
    """A signed 32-bit key from a request's seed and position; 0 for a greedy request."""
    seed = state.logit_processor_kwargs.get("seed", _GREEDY)
    if seed == _GREEDY:
        return 0
    mixed = _mixed(_mixed(seed) ^ state.position_offset) or 1
    return mixed - (1 << 32) if mixed >= 1 << 31 else mixed


def _mixed(values: _Integers) -> _Integers:
    """MurmurHash3's finaliser for unsigned 32-bit values, stored in int64 or as Python's integers."""
    values = values & _MASK
    values = ((values ^ (values >> 16)) * 0x85EBCA6B) & _MASK
    values = ((values ^ (values >> 13)) * 0xC2B2AE35) & _MASK
    return values ^ (values >> 16)
