"""Checks that a model is complete: every shard of an index, every part of a split file and every layer, each only once.

https://huggingface.co/docs/safetensors/metadata_parsing, https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import json
import re
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from models.errors import WeightsError
from models.weights import formats, gguf_format

_LAYER = re.compile(r"(?P<stack>.*?\b(?:layers|h|blocks|blk))\.(?P<number>\d+)\.")
_INDEX = ".safetensors.index.json"
_REMEDY = "correct weights.files, or take the weights from another source"
_SHOWN = 5


def only_once(names: Collection[str], folder: Path) -> list[str]:
    """The names without second copies of the weights. `folder` has the JSON files among them.

    A repository may have the same weights also as `consolidated*.safetensors`, or in one file beside shards. Then the
    files that an index names are taken, otherwise the files that transformers loads.

    Raises:
        WeightsError: a part of a split file or a shard of an index is missing, or there are several GGUFs.
    """
    _check_parts(names)
    if len(found := ggufs(names)) > 1:
        raise WeightsError(f"weights.files takes {len(found)} GGUFs ({_some(found)}): name the one to use")
    copies: set[str] = set()
    for subfolder in sorted({PurePosixPath(name).parent for name in names}):
        inside = [name for name in names if PurePosixPath(name).parent == subfolder and name.endswith(".safetensors")]
        indexed = _indexed(names, subfolder, folder)
        preferred = {name for name in inside if re.match(r"model(-\d{5}-of-\d{5})?\.safetensors", Path(name).name)}
        if indexed:
            copies |= {name for name in inside if name not in indexed and _is_copy(name)}
        elif preferred:
            copies |= {name for name in inside if Path(name).name.startswith("consolidated")}
    if copies:
        print(f"left out, as the same weights are in other files: {', '.join(sorted(copies))}", file=sys.stderr)
    return [name for name in names if name not in copies]


def check(names: Collection[str], folder: Path) -> None:
    """Check that the weight files in `folder` have what their index and configuration say, by their headers.

    Raises:
        WeightsError: a part, a tensor or a layer is missing, or a tensor is in two files; names it.
    """
    _check_parts(names)
    for name in ggufs(names):
        model = gguf_format.read(folder / name)
        layers = model.own("block_count", 0)
        check_layers(model.tensors, name, layers if isinstance(layers, int) else 0)
    for subfolder in sorted({PurePosixPath(name).parent for name in names}):
        inside = [name for name in names if PurePosixPath(name).parent == subfolder and name.endswith(".safetensors")]
        held = {name: {tensor.name for tensor in formats.safetensors(folder / name)} for name in inside}
        _check_index(held, _indexed(names, subfolder, folder))
        config = str(subfolder / "config.json")
        if inside and config in names:
            _check_layers(set().union(*held.values()), inside, _layers(_json(folder / config)))


def check_layers(tensors: Iterable[str], where: str, layers: int) -> None:
    """Check that tensors named `...layers.N...` or `blk.N...` have every N, and at least `layers` of them.

    Raises:
        WeightsError: names the layers that are missing.
    """
    stacks: dict[str, set[int]] = defaultdict(set)
    for name in tensors:
        if found := _LAYER.match(name):
            stacks[found["stack"]].add(int(found["number"]))
    if not stacks:
        return
    longest = max(stacks, key=lambda stack: len(stacks[stack]))
    for stack, numbers in stacks.items():
        wanted = range(max(*numbers, layers - 1 if stack == longest else 0, 0) + 1)
        if missing := [f"{stack}.{number}" for number in wanted if number not in numbers]:
            raise WeightsError(
                f"{where} has only some of its {len(wanted)} layers; missing: {_some(missing)}; {_REMEDY}"
            )


def ggufs(names: Iterable[str]) -> list[str]:
    """The GGUFs; a split one is given by its first part."""
    return sorted({str(gguf_format.parts(Path(name))[0]) for name in names if name.endswith(".gguf")})


def _is_copy(name: str) -> bool:
    """Whether a safetensors file outside an index is a copy of the model's weights, and no adapter, by its name."""
    return re.match(r"(model|consolidated|pytorch_model)\b", PurePosixPath(name).name) is not None


def _check_parts(names: Collection[str]) -> None:
    for name in names:
        parts = [str(part) for part in gguf_format.parts(Path(name))]
        if missing := [part for part in parts if part not in names]:
            raise WeightsError(f"{name} is one of {len(parts)} parts, and without {_some(missing)} no model: {_REMEDY}")


def _indexed(names: Collection[str], subfolder: PurePosixPath, folder: Path) -> dict[str, set[str]]:
    """The shards that the indexes of a folder name, and the tensors of each.

    Raises:
        WeightsError: an index is malformed, or a shard is missing.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for index in sorted(name for name in names if name.endswith(_INDEX) and PurePosixPath(name).parent == subfolder):
        shards = _json(folder / index).get("weight_map")
        if not isinstance(shards, Mapping) or not all(isinstance(shard, str) for shard in shards.values()):
            raise WeightsError(f"{index} is malformed, as it has no weight_map: {_REMEDY}")
        wanted = {str(subfolder / shard) for shard in shards.values()}
        if wanted.isdisjoint(names):  # a leftover index beside a model in one file, or beside a GGUF
            continue
        for tensor, shard in shards.items():
            found[str(subfolder / shard)].add(tensor)
        if missing := sorted(wanted - set(names)):
            raise WeightsError(f"{index} names {_some(missing)}, which is not there: {_REMEDY}")
    return found


def _check_index(held: Mapping[str, set[str]], indexed: Mapping[str, set[str]]) -> None:
    for shard, tensors in indexed.items():
        if missing := sorted(tensors - held[shard]):
            raise WeightsError(f"{shard} lacks {_some(missing)}, which the index says it holds: {_REMEDY}")
    seen: dict[str, str] = {}
    for shard in indexed:
        for tensor in held[shard]:
            if seen.setdefault(tensor, shard) != shard:
                raise WeightsError(f"{tensor} is in {seen[tensor]} and in {shard}: {_REMEDY}")


def _check_layers(tensors: set[str], files: list[str], layers: int) -> None:
    check_layers(tensors, files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more", layers)


def _layers(config: Mapping[str, Any]) -> int:
    """The number of layers in a configuration, in any spelling of the key; 0 if it has none."""
    described = config.get("text_config") if isinstance(config.get("text_config"), Mapping) else config
    found = [described.get(key) for key in ("num_hidden_layers", "n_layer", "num_layers")]  # type: ignore[union-attr]
    return next((count for count in found if isinstance(count, int)), 0)


def _json(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path.name} is not JSON ({error}): {_REMEDY}") from error
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path.name} is not a JSON object: {_REMEDY}")
    return content


def _some(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
