"""A GGUF whose quantised tensors are written out in float16, with the package gguf (numpy alone)."""

from pathlib import Path
from typing import Any


def write(reader: Any, target: Path) -> None:
    """Copy what a gguf.GGUFReader reads to `target`, with its metadata; matrices in float16, vectors in float32.

    Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
    """
    import gguf
    import numpy
    from gguf.quants import dequantize

    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        if key == "general.file_type":
            writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
            continue
        kind = field.types[0]
        item_kind = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(key, field.contents(), kind, item_kind)
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type)
        writer.add_tensor(tensor.name, values.astype(numpy.float16 if values.ndim > 1 else numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
