"""The accepted files: weights as safetensors, GGUF or OpenVINO's own format, with configuration and tokenizers.

None of them can run code.

https://huggingface.co/docs/safetensors/index#format, https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import json
import struct
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from math import prod
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from models.errors import WeightsError
from models.weights import gguf_format, openvino_format

WEIGHTS = (".safetensors", ".gguf")
BESIDE = (".json", ".txt", ".model", ".jinja")
_DEEPER = ("additional_chat_templates/*.jinja", "*_Pooling/config.json")  # the latter: sentence-transformers'
_BESIDE_PATTERNS = (*(f"*{suffix}" for suffix in BESIDE), *_DEEPER)
DEFAULT_PATTERNS = ("*.safetensors", *_BESIDE_PATTERNS)
_OPENVINO_PATTERNS = (*openvino_format.FILES, *_BESIDE_PATTERNS)
ADAPTER, ADAPTER_CONFIG = "adapter", "adapter_config.json"
"""The folder beside a model's files with the adapter to merge into it, and the adapter's configuration file."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
CODE = (".py", ".so", ".dll", ".dylib", ".sh", ".h5", ".keras", ".npy", ".npz", ".joblib")
TO_SAFETENSORS = "python -m scripts.to_safetensors"

_MOST_HEADER_BYTES = 100_000_000
_BITS = {"F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16, "I16": 16, "U16": 16}
_BITS |= {"I8": 8, "U8": 8, "BOOL": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4, "C64": 64}
_BITS |= {"F6_E2M3": 6, "F6_E3M2": 6}


class Tensor(NamedTuple):
    """A tensor of a file; `dtype` with the format's own name, `shape` in elements."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def parameters(self) -> int:
        return prod(self.shape)


def selected(names: Iterable[str], patterns: Collection[str]) -> list[str]:
    """The names that match a pattern; a pattern without a slash matches only in the top folder.

    Files that macOS adds are ignored. If the default patterns find no safetensors, OpenVINO's own format is taken.

    Raises:
        WeightsError: a file can run code or is of no known kind, or there are no weights among the files.
    """
    names = [name for name in names if not is_litter(name)]
    taken = _matching(names, patterns)
    if patterns == DEFAULT_PATTERNS and not any(is_weights(name) for name in taken):
        taken = _matching(names, _OPENVINO_PATTERNS)
    for name in taken:
        check_name(name, taken)
    if not any(is_weights(name) for name in taken):
        pickles = [name for name in names if name.endswith(PICKLES)]
        if pickles:
            check_name(pickles[0], taken)
        offered = ", ".join([name for name in names if name.endswith(WEIGHTS)][:8]) or "no safetensors and no GGUF"
        raise WeightsError(
            f"no weights among the files that match {', '.join(patterns)}; there is {offered}: correct weights.files"
        )
    return taken


def is_litter(name: str) -> bool:
    """Whether macOS added the file: `._NAME` (AppleDouble), `.DS_Store`, or anything in `__MACOSX`."""
    path = PurePosixPath(name)
    return path.name.startswith("._") or path.name == ".DS_Store" or "__MACOSX" in path.parts


def is_weights(name: str) -> bool:
    """Whether a file has weights, by its name."""
    return name.endswith(WEIGHTS) or PurePosixPath(name).name == openvino_format.VALUES


def has_adapter(names: Collection[str]) -> bool:
    """Whether these files of a model include an adapter that is merged into it."""
    return f"{ADAPTER}/{ADAPTER_CONFIG}" in names


def check_name(name: str, names: Collection[str]) -> None:
    """Refuse a file that could leave its folder, can run code when loaded, or is of no known kind.

    `names`: of all files. A .bin counts as a pickle unless its OpenVINO graph is among them.

    Raises:
        WeightsError: names the file and what to do instead.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or not path.parts:
        raise WeightsError(f"{name!r} would leave the folder of the weights: take them from another source")
    if openvino_format.is_pair(name, names):
        return
    if path.suffix in PICKLES:
        raise WeightsError(
            f"{name} is a pickle, which runs code when it is loaded: {TO_SAFETENSORS} {path.name} makes a "
            f"{path.stem}.safetensors of a file that you have; or take a repository that has safetensors"
        )
    if path.suffix in CODE:
        raise WeightsError(
            f"{name} can run code: leave it out of weights.files; this template loads no code of a model"
        )
    if path.suffix not in (*WEIGHTS, *BESIDE):
        raise WeightsError(
            f"{name} is neither weights ({', '.join(WEIGHTS)}) nor beside them ({', '.join(BESIDE)}): "
            "leave it out of weights.files"
        )


def check_header(path: Path) -> None:
    """Check that a file of weights has the format that its name says.

    Raises:
        WeightsError: its header is malformed, or its tensors do not fill the file.
    """
    if path.suffix == ".safetensors":
        safetensors(path)
    elif path.suffix == ".gguf":
        with open(path, "rb") as file:
            if file.read(4) != b"GGUF":
                raise WeightsError(f"{path} is not a GGUF file: take the weights from another source")
    elif path.name == openvino_format.MODEL:
        openvino_format.check(path)


def tensors(path: Path) -> list[Tensor]:
    """The tensors of a file of weights, read from its header only."""
    if path.suffix == ".safetensors":
        return safetensors(path)
    if path.name == openvino_format.VALUES:
        return [Tensor("", kind, shape) for kind, shape, _, _ in openvino_format.constants(path.with_suffix(".xml"))]
    held = gguf_format.read_part(path)[1]
    return [Tensor(one.name, one.kind.name, one.shape) for one in held.values()]


def safetensors(path: Path) -> list[Tensor]:
    """The tensors of a safetensors file.

    Raises:
        WeightsError: the header is malformed, or the tensors do not fill the file exactly.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\xff"))
        if length > min(size - 8, _MOST_HEADER_BYTES):
            raise WeightsError(f"{path} has no safetensors header: take the weights from another source")
        header = file.read(length)
    try:
        entries = {name: entry for name, entry in json.loads(header).items() if name != "__metadata__"}
        found = [Tensor(name, entry["dtype"], tuple(entry["shape"])) for name, entry in entries.items()]
        spans = sorted((begin, end) for begin, end in (entry["data_offsets"] for entry in entries.values()))
        sizes = {name: entry["data_offsets"][1] - entry["data_offsets"][0] for name, entry in entries.items()}
        fits = all(sizes[tensor.name] * 8 == tensor.parameters * _BITS[tensor.dtype] for tensor in found)
        fits = fits and all(size >= 0 and isinstance(size, int) for tensor in found for size in tensor.shape)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise WeightsError(
            f"{path} has a malformed safetensors header: take the weights from another source"
        ) from error
    ends = [0, *(end for _, end in spans)]
    if not fits or [begin for begin, _ in spans] != ends[:-1] or ends[-1] != size - 8 - length:
        raise WeightsError(f"{path} is damaged: its tensors do not fill it; take the weights from another source")
    return found


def _matching(names: Iterable[str], patterns: Iterable[str]) -> list[str]:
    return sorted(name for name in names if any(_matches(name, pattern) for pattern in patterns))


def _matches(name: str, pattern: str) -> bool:
    return name == pattern or (("/" in pattern or "/" not in name) and fnmatchcase(name, pattern))
