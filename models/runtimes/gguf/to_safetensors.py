"""Writes a GGUF as safetensors and a configuration, as transformers saves a model. The package gguf dequantises it.

Names and layout of the tensors are those of transformers' own reader, by private parts of it (docs/upgrading.md).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from models.errors import EngineError
from models.runtimes.gguf import comparison, decoder
from models.runtimes.gguf import config as gguf_config
from models.weights.gguf_format import Gguf

_ROPE = {"rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"}
_SHOWN = 3


def write(gguf: Gguf, folder: Path, dtype: str) -> None:
    """Save the model in `dtype`, and compare the results of the saved files with those of the model that was read.

    A model of the Llama family is first compared with our reference decoder. Both sides of the comparison are rounded
    to `dtype`: that rounding is intended, and in a mixture of experts it changes which experts are chosen.

    Raises:
        EngineError: a part of the GGUF is not supported, a tensor is missing, or the results differ.
    """
    import torch
    import transformers

    made = model(gguf)
    prompt = comparison.prompt([], made.config.vocab_size, made.config.max_position_embeddings)
    if not decoder.unread(gguf):
        expected = decoder.Decoder(gguf).logits(prompt)
        comparison.check(_logits(made, prompt), expected, comparison.READ, gguf.path)
    _round(made, getattr(torch, dtype))
    made.save_pretrained(folder)
    _round(made, torch.float32)
    expected = _logits(made, prompt)
    saved = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    comparison.check(_logits(saved, prompt), expected, comparison.SAVED, gguf.path)


def model(gguf: Gguf) -> Any:
    """The model in transformers, in float32 and for inference.

    Raises:
        EngineError: a key or a tensor of the GGUF is not supported, or is missing.
    """
    import torch
    import transformers

    config = gguf_config.configuration(gguf)
    made = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    tensors = _tensors(gguf, made)
    wrong = [f"{name} {list(tensor.shape)}" for name, tensor in tensors.items() if _shape(made, name) != tensor.shape]
    if wrong:
        raise _refusal(gguf, "tensors of another shape than its keys say", wrong)
    missing = set(made.load_state_dict(tensors, strict=False).missing_keys)
    if config.tie_word_embeddings:
        missing -= {"lm_head.weight"}
        made.tie_weights()
    if missing:
        raise _refusal(gguf, "no tensor for", sorted(missing))
    return made


def _tensors(gguf: Gguf, made: Any) -> dict[str, Any]:
    """The tensors with transformers' names and layout. Its reader ignores unknown tensors; here they are refused."""
    import torch
    from transformers.modeling_gguf_pytorch_utils import TENSOR_PROCESSORS, TensorProcessor, get_gguf_hf_weights_map

    processor = TENSOR_PROCESSORS.get(gguf.architecture, TensorProcessor)(config=made.config.to_dict())
    with _one_map_of_names():
        names = get_gguf_hf_weights_map(made, processor, gguf.architecture)
    read: dict[str, dict[str, Any]] = {"tensors": {}}
    unknown = []
    for name, tensor in gguf.tensors.items():
        if name in _ROPE:  # these are in the configuration
            continue
        stem = name.removesuffix(".weight")
        if name not in names and stem not in names and name != "output.weight":
            unknown.append(name)
            continue
        laid_out = processor.process(
            weights=tensor.values(), name=name, tensor_key_mapping=names, parsed_parameters=read
        )
        if laid_out.name is not None:
            read["tensors"][names[laid_out.name]] = torch.from_numpy(laid_out.weights.copy())
    if unknown:
        raise _refusal(gguf, "tensors that its architecture has not", unknown)
    return read["tensors"]


@contextmanager
def _one_map_of_names() -> Iterator[None]:
    """Within it, the package gguf builds its map of names once: transformers asks for it at each of 400 modules."""
    import gguf

    builds = gguf.get_tensor_name_map
    gguf.get_tensor_name_map = cache(builds)
    try:
        yield
    finally:
        gguf.get_tensor_name_map = builds


def _round(made: Any, dtype: Any) -> None:
    """Change the weights' number format. Rotary frequencies are not weights, and do not change."""
    for weight in made.parameters():
        weight.data = weight.data.to(dtype)


def _shape(made: Any, name: str) -> Any:
    return made.get_parameter_or_buffer(name).shape


def _refusal(gguf: Gguf, what: str, names: list[str]) -> EngineError:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return EngineError(
        f"{gguf.path.name} has {what}: {', '.join(names[:_SHOWN])}{more}; "
        "this template reads no such GGUF: take the model's safetensors as weights.source"
    )


def _logits(made: Any, prompt: list[int]) -> Any:
    """The logits of a prompt: float32[tokens, vocabulary]."""
    import torch

    with torch.inference_mode():
        return made(torch.tensor([prompt])).logits[0].float().numpy()
