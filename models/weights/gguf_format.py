"""Reads the metadata and tensors of GGUF files, including files that the package gguf's reader cannot read.

That reader fails on text that is not UTF-8, is slow (it makes a numpy array for every token), and knows no split files.
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import mmap
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from models.errors import WeightsError

STRING, ARRAY = 8, 9
_FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_MOST_DIMENSIONS, _MOST_NESTED = 4, 3
_PART = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<ending>\.\w+)")


@dataclass(frozen=True)
class Value:
    """A value of the metadata. `kind`: GGUF's number of its type; `items`: the type of an array's items.

    In text that is not UTF-8, wrong bytes are replaced by escapes, as Python writes them.
    """

    kind: int
    items: int | None
    content: Any


@dataclass(frozen=True)
class Tensor:
    """`kind`: a gguf.GGMLQuantizationType; `shape`: rows first, as in numpy; `begin`, `size`: bytes in `path`."""

    name: str
    path: Path
    kind: Any
    shape: tuple[int, ...]
    begin: int
    size: int

    @property
    def parameters(self) -> int:
        return prod(self.shape)

    def blocks(self) -> Any:
        """The bytes as they are in the file: uint8[..., bytes per row]."""
        import numpy

        width = self.size // prod(self.shape[:-1])
        shape = (*self.shape[:-1], width)
        return numpy.memmap(self.path, numpy.uint8, "r", self.begin, shape) if self.size else numpy.zeros(shape, "u1")

    def values(self, rows: list[int] | None = None) -> Any:
        """The dequantised values of all rows or of `rows`: float32[shape].

        Raises:
            WeightsError: the package gguf cannot dequantise this type, or a value is not a number.
        """
        import numpy
        from gguf.quants import dequantize

        blocks = self.blocks() if rows is None else self.blocks()[rows]
        plain = {"F32": "<f4", "F16": "<f2", "F64": "<f8"}.get(self.kind.name)
        try:
            read = blocks.view(plain) if plain else dequantize(numpy.asarray(blocks), self.kind)
        except NotImplementedError as error:
            raise WeightsError(
                f"{self.path.name} holds {self.name} as {self.kind.name}, which the package gguf cannot dequantise: "
                "take another quantisation of the model"
            ) from error
        shape = self.shape if rows is None else (len(rows), *self.shape[1:])
        values = read.astype(numpy.float32).reshape(shape)
        if not numpy.isfinite(values).all():
            raise WeightsError(f"{self.path.name} has NaN or infinite values in {self.name}: the file is damaged")
        return values


@dataclass(frozen=True)
class Gguf:
    """A model's GGUF; the parts of a split one are joined. `path`: its file, or its first part."""

    path: Path
    values: Mapping[str, Value]
    tensors: Mapping[str, Tensor]

    @property
    def architecture(self) -> str:
        """The architecture with llama.cpp's name: llama, qwen2, gemma3."""
        return str(self.get("general.architecture", ""))

    def get(self, key: str, default: Any = None) -> Any:
        return self.values[key].content if key in self.values else default

    def own(self, key: str, default: Any = None) -> Any:
        """The value of a key of its architecture: `block_count` for `llama.block_count`."""
        return self.get(f"{self.architecture}.{key}", default)


def parts(path: Path) -> list[Path]:
    """All files of the split model that `path` belongs to by its name, in order; for any other file, only `path`."""
    found = _PART.fullmatch(path.name)
    if not found:
        return [path]
    count = int(found["count"])
    return [
        path.with_name(f"{found['stem']}-{number:05}-of-{count:05}{found['ending']}") for number in range(1, count + 1)
    ]


def read(path: Path) -> Gguf:
    """Read the headers of a GGUF and of all its parts.

    Raises:
        WeightsError: a part is missing, or a header is malformed; names the file.
    """
    values: dict[str, Value] = {}
    tensors: dict[str, Tensor] = {}
    for part in parts(path):
        if not part.is_file():
            raise WeightsError(f"{part} is missing, and without it {path.name} is no model: correct weights.files")
        described, held = read_part(part)
        values = values or described  # the metadata of the first part is the model's
        if twice := tensors.keys() & held.keys():
            raise WeightsError(f"{part} is damaged (a second {min(twice)}): take the weights from another source")
        tensors |= held
    whole = Gguf(parts(path)[0], values, tensors)
    expected = whole.get("split.tensors.count")
    count = whole.get("split.count", 1)
    if count not in (0, len(parts(path))):
        raise WeightsError(
            f"{path} says that it is one of {count} parts: lock them all, "
            f"beside each other as NAME-00001-of-{count:05}.gguf"
        )
    if len(parts(path)) > 1 and expected not in (None, len(tensors)):
        raise WeightsError(
            f"{whole.path} and its parts hold {len(tensors)} tensors, and say {expected}: lock them again"
        )
    return whole


def read_part(path: Path) -> tuple[dict[str, Value], dict[str, Tensor]]:
    """The metadata and tensors of one file.

    Raises:
        WeightsError: its header is malformed, or its tensors do not fit into it.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        if file.read(4) != b"GGUF":
            raise WeightsError(f"{path} is not a GGUF file: take the weights from another source")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            try:
                return _Header(path, content, size).read()
            except (struct.error, ValueError, OverflowError, RecursionError) as error:
                raise WeightsError(f"{path} is damaged ({error}): take the weights from another source") from error


class _Header:
    def __init__(self, path: Path, content: mmap.mmap, size: int) -> None:
        self._path, self._content, self._size, self._at = path, content, size, 4

    def read(self) -> tuple[dict[str, Value], dict[str, Tensor]]:
        version = self._one("I")
        if version not in (2, 3):
            kind = "big-endian" if version and version & 0xFFFF == 0 else f"of GGUF's version {version}"
            raise ValueError(f"it is {kind}, which this template does not read")
        tensor_count, value_count = self._many("Q", 2)
        values: dict[str, Value] = {}
        for _ in range(value_count):
            key = self._text()
            if key in values:
                raise ValueError(f"a second {key}")
            values[key] = self._value(self._one("I"))
        described = [self._described() for _ in range(tensor_count)]
        alignment = values["general.alignment"].content if "general.alignment" in values else 32
        if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
            raise ValueError(f"general.alignment is {alignment}")
        begin = -(-self._at // alignment) * alignment
        tensors = [self._tensor(begin, *one) for one in described]
        named = {tensor.name: tensor for tensor in tensors}
        if len(named) < len(tensors):
            raise ValueError("two tensors have one name")
        return values, named

    def _value(self, kind: int, depth: int = 0) -> Value:
        if kind == STRING:
            return Value(kind, None, self._text())
        if kind != ARRAY:
            return Value(kind, None, self._one(self._format(kind)))
        items, count = self._one("I"), self._one("Q")
        if count > self._size or depth > _MOST_NESTED:
            raise ValueError("an array is larger than the file")
        if items == STRING:
            return Value(kind, items, [self._text() for _ in range(count)])
        if items == ARRAY:
            return Value(kind, items, [self._value(ARRAY, depth + 1).content for _ in range(count)])
        return Value(kind, items, list(self._many(self._format(items), count)))

    def _described(self) -> tuple[str, list[int], int, int]:
        name, dimensions = self._text(), self._one("I")
        if dimensions > _MOST_DIMENSIONS:
            raise ValueError(f"{name} has {dimensions} dimensions")
        return name, list(self._many("Q", dimensions)), self._one("I"), self._one("Q")

    def _tensor(self, begin: int, name: str, dimensions: list[int], kind: int, offset: int) -> Tensor:
        from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

        if kind not in set(GGMLQuantizationType):
            raise ValueError(f"{name} is of the type {kind}, which the package gguf does not know")
        block, width = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
        shape = tuple(reversed(dimensions or [1]))
        if shape[-1] % block:
            raise ValueError(f"{name} has rows of {shape[-1]}, no multiple of {block}")
        size = prod(shape) // block * width
        if begin + offset + size > self._size:
            raise ValueError(f"{name} ends {begin + offset + size - self._size} bytes after it")
        return Tensor(name, self._path, GGMLQuantizationType(kind), shape, begin + offset, size)

    def _format(self, kind: int) -> str:
        if kind not in _FORMATS:
            raise ValueError(f"a value has the type {kind}")
        return _FORMATS[kind]

    def _one(self, kind: str) -> Any:
        return self._many(kind, 1)[0]

    def _many(self, kind: str, count: int) -> tuple[Any, ...]:
        if count > self._size:
            raise ValueError("an array is larger than the file")
        layout = f"<{count}{kind}"
        found = struct.unpack_from(layout, self._content, self._at)
        self._at += struct.calcsize(layout)
        return found

    def _text(self) -> str:
        length = self._one("Q")
        if length > self._size - self._at:
            raise ValueError("a text is larger than the file")
        text = self._content[self._at : self._at + length]
        self._at += length
        return text.decode("utf-8", "backslashreplace")
