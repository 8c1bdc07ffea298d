"""Writes a GGUF that OpenVINO GenAI reads correctly: only the keys that it knows, with matrices in float16.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from pathlib import Path
from typing import Any

from models.errors import EngineError
from models.runtimes.gguf.decoder import Decoder
from models.weights import gguf_format

_LARGEST = 65_504
_COMPARED = 5
_STAND_IN = ["<unk>", "<s>", "</s>", *(chr(letter) for letter in range(ord("a"), ord("z") + 1))]


def write(decoder: Decoder, target: Path) -> None:
    """Write the model to `target`, and compare some of its tensors with the source.

    GenAI's reader takes every number as 32 bits wide. It reorders the rows of Llama's queries and keys, but not their
    biases. It needs some tokenizer in the file; the model's own tokenizer is written elsewhere.

    Raises:
        EngineError: a value is too large for float16, or the written file differs from the source.
    """
    import gguf
    import numpy

    writer = gguf.GGUFWriter(target, decoder.gguf.architecture)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_block_count(decoder.layers)
    writer.add_context_length(decoder.gguf.own("context_length", 2048))
    writer.add_embedding_length(decoder.width)
    writer.add_head_count(decoder.heads)
    writer.add_head_count_kv(decoder.kv_heads)
    writer.add_key_length(decoder.head_size)
    writer.add_layer_norm_rms_eps(decoder.epsilon)
    writer.add_rope_freq_base(float(decoder.gguf.own("rope.freq_base", 10_000.0)))
    _add_stand_in_tokenizer(writer)
    tensors = [tensor for name, tensor in decoder.gguf.tensors.items() if name != "rope_freqs.weight"]
    for tensor in tensors:
        dtype = numpy.dtype(numpy.float16 if len(tensor.shape) > 1 else numpy.float32)
        size = numpy.prod(tensor.shape).item() * dtype.itemsize
        writer.add_tensor_info(tensor.name, tensor.shape, dtype, size)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in tensors:  # one at a time in memory
        writer.write_tensor_data(_plain(decoder, tensor))
    writer.close()
    _compare(decoder, tensors, target)


def _add_stand_in_tokenizer(writer: Any) -> None:
    import gguf

    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(_STAND_IN)
    writer.add_token_types([gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.NORMAL] * (len(_STAND_IN) - 3))
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def _plain(decoder: Decoder, tensor: gguf_format.Tensor) -> Any:
    """A tensor's values as they are written: matrices in float16, vectors in float32."""
    import numpy

    values = tensor.values()
    if len(tensor.shape) == 1:
        is_turned = decoder.is_interleaved and tensor.name.endswith(("attn_q.bias", "attn_k.bias"))
        return values.reshape(-1, decoder.head_size // 2, 2).swapaxes(1, 2).ravel() if is_turned else values
    largest = numpy.abs(values).max()
    if largest > _LARGEST:
        raise EngineError(
            f"{tensor.path.name} holds {largest:.3g} in {tensor.name}, and float16 ends at {_LARGEST}: "
            "use the engine transformers"
        )
    return values.astype(numpy.float16)


def _compare(decoder: Decoder, tensors: list[gguf_format.Tensor], target: Path) -> None:
    """Read the written file, and compare some tensors, spread over the file, value by value."""
    import numpy

    written = gguf_format.read(target).tensors
    indexes = {round(share * (len(tensors) - 1) / (_COMPARED - 1)) for share in range(_COMPARED)}
    for tensor in (tensors[index] for index in sorted(indexes)):
        if not numpy.array_equal(written[tensor.name].values(), _plain(decoder, tensor).astype(numpy.float32)):
            raise EngineError(f"{tensor.name} was written with other values than {tensor.path.name} has: try again")
