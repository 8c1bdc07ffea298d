"""GGUF files like those of other people: other quantisations, alignments, odd metadata, and split files.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h
"""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import gguf
import numpy

from models.weights import gguf_format
from models.weights.gguf_format import ARRAY, STRING, Value

_FORMATS = {0: "B", 2: "H", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q"}
_SCALES = {
    "Q2_K": (80, 82),
    "Q3_K": (108,),
    "Q4_K": (0, 2),
    "Q5_K": (0, 2),
    "Q6_K": (208,),
    "TQ1_0": (52,),
    "TQ2_0": (64,),
}
"""The offset of the float16 scales in a block; other kinds have them at its beginning."""
KINDS = [kind.name for kind in gguf.quants._type_traits] + ["F32", "F16"]
"""Every quantisation that the package gguf can dequantise, and the plain number formats."""
_SPREAD = 0.06


class Stored(NamedTuple):
    """A tensor as stored in a file: its shape, rows first, its quantisation and its bytes."""

    shape: tuple[int, ...]
    kind: gguf.GGMLQuantizationType
    content: bytes


def variant(
    source: Path,
    target: Path,
    kind: str = "",
    values: Mapping[str, Value | None] = {},
    tensors: Mapping[str, Any] = {},
    alignment: int = 32,
    parts: int = 1,
) -> Path:
    """Write a variant of `source`: matrices as `kind`, and other `values` and `tensors` (float32; None removes one)."""
    read = gguf_format.read(source)
    stored = {name: _stored(tensor.values(), kind or tensor.kind.name) for name, tensor in read.tensors.items()}
    stored |= {name: _stored(value, "F32") for name, value in tensors.items() if value is not None}
    for name in [name for name, value in tensors.items() if value is None]:
        del stored[name]
    changed = {**read.values, **values}
    if alignment != 32:
        changed["general.alignment"] = Value(4, None, alignment)
    kept = {key: value for key, value in changed.items() if value is not None}
    names = list(stored)
    for number in range(parts):
        mine = {name: stored[name] for name in names[number::parts]}
        of_parts = {"split.no": number, "split.count": parts, "split.tensors.count": len(names)} if parts > 1 else {}
        described = kept if number == 0 else {"general.alignment": Value(4, None, alignment)}
        described = {**described, **{key: Value(4, None, value) for key, value in of_parts.items()}}
        path = target.with_name(f"{target.stem}-{number + 1:05}-of-{parts:05}.gguf") if parts > 1 else target
        path.write_bytes(_file(described, mine, alignment))
    return gguf_format.parts(target.with_name(f"{target.stem}-00001-of-{parts:05}.gguf"))[0] if parts > 1 else target


def _stored(values: Any, kind: str) -> Stored:
    """Vectors stay float32. Kinds that cannot be quantised here get random blocks, of about the same size."""
    shape, type_ = values.shape, gguf.GGMLQuantizationType[kind]
    if values.ndim == 1:
        return Stored(shape, gguf.GGMLQuantizationType.F32, values.astype(numpy.float32).tobytes())
    try:
        return Stored(shape, type_, gguf.quants.quantize(values, type_).tobytes())
    except NotImplementedError:
        return Stored(shape, type_, _random_blocks(values.size, kind).tobytes())


def _random_blocks(count: int, kind: str) -> Any:
    type_ = gguf.GGMLQuantizationType[kind]
    block, width = gguf.GGML_QUANT_SIZES[type_]
    blocks = numpy.random.default_rng(count).integers(0, 256, (count // block, width), dtype=numpy.uint8)
    if kind == "MXFP4":  # a power of two
        blocks[:, 0] = 122
    elif kind == "NVFP4":  # four scales of eight bits, small ones
        blocks[:, :4] = 8 + blocks[:, :4] % 16
    else:
        _set_scales(blocks, kind, 1.0)
        _set_scales(blocks, kind, _SPREAD / float(gguf.quants.dequantize(blocks, type_).std()))
    return blocks


def _set_scales(blocks: Any, kind: str, scale: float) -> None:
    packed = numpy.array([scale], dtype=numpy.float16)
    if kind == "IQ1_M":  # the upper four bits of four numbers
        (bits,) = packed.view(numpy.uint16).tolist()
        numbers = blocks[:, -8:].copy().view(numpy.uint16) & 0x0FFF
        blocks[:, -8:] = (numbers | [bits << shift & 0xF000 for shift in (12, 8, 4, 0)]).astype("<u2").view(numpy.uint8)
        return
    for at in _SCALES.get(kind, (0,)):
        blocks[:, at : at + 2] = packed.view(numpy.uint8)


def _file(values: Mapping[str, Value], tensors: Mapping[str, Stored], alignment: int) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values))
    for key, value in values.items():
        head += (
            _packed(STRING, None, key) + struct.pack("<I", value.kind) + _packed(value.kind, value.items, value.content)
        )
    at, data = 0, b""
    for name, stored in tensors.items():
        dimensions = struct.pack(f"<I{len(stored.shape)}Q", len(stored.shape), *reversed(stored.shape))
        head += _packed(STRING, None, name) + dimensions + struct.pack("<IQ", stored.kind, at)
        data += stored.content.ljust(-(-len(stored.content) // alignment) * alignment, b"\0")
        at = len(data)
    return head.ljust(-(-len(head) // alignment) * alignment, b"\0") + data


def _packed(kind: int, items: int | None, content: Any) -> bytes:
    if kind == STRING:
        text = content if isinstance(content, bytes) else content.encode()
        return struct.pack("<Q", len(text)) + text
    if kind == ARRAY:
        assert items is not None
        return struct.pack("<IQ", items, len(content)) + b"".join(_packed(items, None, item) for item in content)
    return struct.pack(f"<{_FORMATS[kind]}", content)
