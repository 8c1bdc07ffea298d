"""Runs the norms, projections, activations and rotary embeddings of a model in fewer kernels, where results are equal.

In a decoding step a GPU waits for the start of each kernel, and reads two small matrices more slowly than a large one.
What is one kernel is also rounded only once, and logits not at all: next tokens are more often those of float32.
(Liger's kernels would do for some of these. Importing them takes two seconds of the start, and they bring Triton to
machines that have no GPU.)
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

_MOST_DIFFERENCE = 2.0**-6
"""The most that values around 1 may differ: two steps of bfloat16."""
_MOST_REASON = 300
_ROTARY = "apply_rotary_pos_emb"
"""The name of the function in transformers' files of models."""


def install(model: Any) -> str:
    """Fuse what can be fused in a model on a GPU; returns what was, for the log."""
    modules = list(model.modules())
    failures: set[str] = set()
    with torch.no_grad():
        norms = sum(_succeeds(failures, _fuse_norm, module) for module in modules)
        activations = sum(_succeeds(failures, _fuse_activation, module, model) for module in modules)
        projections = sum(_succeeds(failures, _fuse_projections, module) for module in modules)
        rotary = _succeeds(failures, _fuse_rotary, model)
        are_wide = _succeeds(failures, _keep_logits_wide, model)
    return (
        f"one kernel each for {norms} norms, {activations} gated activations, the queries, keys and values of "
        f"{projections} layers and {'all' if rotary else 'no'} rotary embeddings; logits in "
        f"{'float32' if are_wide else 'the number format of the weights'}"
        f"{''.join(f'; others stay as they are: {failure}' for failure in sorted(failures))}"
    )


def _succeeds(failures: set[str], fuse: Callable[..., bool], *given: Any) -> bool:
    """Whether something was fused. What fails stays as it is: Triton may not compile here, or memory be short."""
    try:
        return fuse(*given)
    except Exception as error:
        failures.add(f"{type(error).__name__} in {fuse.__name__}: {error}"[:_MOST_REASON])
        return False


def _fuse_norm(module: torch.nn.Module) -> bool:
    """Make RMSNorm one kernel. Gemma's norm adds 1 to its weight and stays."""
    epsilon, weight = getattr(module, "variance_epsilon", None), getattr(module, "weight", None)
    if not type(module).__name__.endswith("RMSNorm") or epsilon is None or weight is None:
        return False
    sample = _sample(weight, weight.numel())
    return _replace(module, partial(_norm, weight, epsilon), sample, module(sample), weight.abs().max())


def _fuse_activation(module: torch.nn.Module, model: Any) -> bool:
    """Compute a gated feed-forward network, down(silu(gate(x)) * up(x)), in three kernels."""
    parts: list[Any] = [getattr(module, name, None) for name in ("gate_proj", "up_proj", "down_proj", "act_fn")]
    gate, up, down, activation = parts
    if not _are_plain([gate, up]) or down is None or "silu" not in type(activation).__name__.lower():
        return False
    sample = _sample(model, gate.in_features)
    expected = module(sample)
    return _replace(module, partial(_gated, _Together([gate, up]), down), sample, expected, expected.abs().max())


def _fuse_projections(module: torch.nn.Module) -> bool:
    """Compute the queries, keys and values of an attention with one matrix; its own code still asks for each."""
    linears: list[Any] = [getattr(module, name, None) for name in ("q_proj", "k_proj", "v_proj")]
    if not _are_plain(linears):
        return False
    together = _Together(linears)
    for index, linear in enumerate(linears):
        linear.forward = partial(together.part, index)
    return True


def _fuse_rotary(model: Any) -> bool:
    """Make the rotation of queries and keys one kernel, in the file of the model's class."""
    file = sys.modules[type(model).__module__]
    own = getattr(file, _ROTARY, None)
    rotary = next((module for module in model.modules() if type(module).__name__.endswith("RotaryEmbedding")), None)
    if own is None or rotary is None:
        return False
    own = own.args[0] if getattr(own, "func", None) is _rotated else own
    cos, sin = rotary(_sample(model, 1), torch.arange(3, device=model.device).unsqueeze(0))
    head = cos.shape[-1]
    samples = [_sample(model, heads * head).view(1, 3, heads, head).transpose(1, 2) for heads in (2, 1)]
    fused = partial(_rotated, own, model.device)
    pairs = zip(fused(*samples, cos, sin), own(*samples, cos, sin), strict=True)
    are_equal = all((ours - theirs).abs().max() <= 2 * _MOST_DIFFERENCE for ours, theirs in pairs)
    setattr(file, _ROTARY, fused if are_equal else own)
    return are_equal


def _keep_logits_wide(model: Any) -> bool:
    """Leave the logits as their matrix product has them, in float32: in 16 bits several of the highest can be equal."""
    head = model.get_output_embeddings()
    if type(head) is not torch.nn.Linear or head.bias is not None or head.weight.dtype == torch.float32:
        return False
    sample = _sample(head.weight, head.in_features)
    expected = head(sample)
    return _replace(head, partial(_wide_product, head.weight), sample, expected, expected.abs().max())


class _Together:
    """Linear layers of the same input, computed with one matrix, of which their own weights become parts."""

    def __init__(self, linears: Sequence[Any]) -> None:
        self._sizes = [linear.out_features for linear in linears]
        self._weight = torch.cat([linear.weight for linear in linears])
        self._bias = torch.cat([linear.bias for linear in linears]) if linears[0].bias is not None else None
        for linear, part in zip(linears, self._weight.split(self._sizes), strict=True):
            linear.weight.data = part
        self._input: torch.Tensor | None = None
        self._parts: dict[int, torch.Tensor] = {}

    def all(self, hidden: torch.Tensor) -> torch.Tensor:
        """The results of all layers, one after another in the last dimension."""
        return torch.nn.functional.linear(hidden, self._weight, self._bias)

    def part(self, index: int, hidden: torch.Tensor) -> torch.Tensor:
        """The result of one layer. The others' are kept until they are asked for with the same input."""
        if self._input is not hidden or index not in self._parts:
            self._input, self._parts = hidden, dict(enumerate(self.all(hidden).split(self._sizes, -1)))
        result = self._parts.pop(index)
        self._input = hidden if self._parts else None
        return result


def _are_plain(linears: Sequence[Any]) -> bool:
    """Whether all are linear layers that nothing quantises, all with a bias or all without."""
    return all(type(linear) is torch.nn.Linear for linear in linears) and (
        len({linear.bias is None for linear in linears}) == 1
    )


def _replace(
    module: torch.nn.Module,
    fused: Callable[..., Any],
    sample: torch.Tensor,
    expected: torch.Tensor,
    size: torch.Tensor,
) -> bool:
    """Set the fused function as a module's forward if it gives the expected results; returns whether it does."""
    are_equal = bool((fused(sample) - expected).abs().max() <= _MOST_DIFFERENCE * size)
    if are_equal:
        module.forward = fused
    return are_equal


def _sample(like: Any, count: int) -> torch.Tensor:
    """Three rows of values from -2 to 2, in the number format of a tensor or a model."""
    return torch.linspace(-2, 2, 3 * count, device=like.device, dtype=like.dtype).view(3, count)


def _norm(weight: torch.Tensor, epsilon: float, hidden: torch.Tensor) -> torch.Tensor:
    from models.tasks.text_generation.engines import triton_layers

    return triton_layers.norm(hidden, weight, epsilon)


def _wide_product(weight: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    rows = hidden.reshape(-1, hidden.size(-1))
    return torch.mm(rows, weight.T, out_dtype=torch.float32).view(*hidden.shape[:-1], -1)


def _gated(gate_and_up: _Together, down: Any, hidden: torch.Tensor) -> Any:
    from models.tasks.text_generation.engines import triton_layers

    return down(triton_layers.silu_and_multiply(gate_and_up.all(hidden)))


def _rotated(own: Callable[..., Any], device: torch.device, query: torch.Tensor, *others: Any, **options: Any) -> Any:
    """The rotated queries and keys; `own`: the function of the model's code, for other devices and other arguments."""
    if query.device != device or options or len(others) != 3 or query.shape[-1] != others[1].shape[-1]:
        return own(query, *others, **options)
    from models.tasks.text_generation.engines import triton_layers

    return triton_layers.rotate(query, *others)
