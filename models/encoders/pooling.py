"""Makes one vector per text from an encoder's hidden states, as the model's own files say.

modules.json lists what sentence-transformers does after the encoder. Without that file the vector is the mean of all
tokens, as in sentence-transformers.
https://sbert.net/docs/package_reference/sentence_transformer/models.html
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from models.encoders.tokens import Tokens
from models.errors import EngineError, WeightsError
from models.json_files import modules, read_json

Pool = Callable[[Any, Any], Any]


def of(folder: Path) -> Pool:
    """A function of hidden states, float32[texts, tokens, width], and token counts; returns float32[texts, width].

    Raises:
        EngineError: the model makes its vectors in a way that is not supported here.
        WeightsError: one of its files is missing or malformed.
    """
    listed = [(str(one.get("type", "")).rpartition(".")[2], str(one.get("path", ""))) for one in modules(folder)]
    others = sorted({kind for kind, _ in listed} - {"Transformer", "Pooling", "Normalize"})
    if others:
        raise EngineError(f"{folder} computes its vectors with {', '.join(others)}, which is not supported")
    path = next((path for kind, path in listed if kind == "Pooling"), None)
    if path is None:
        return _mean
    file = folder / path / "config.json"
    if not file.is_file():
        raise WeightsError(f"{file} is missing: add {path}/config.json to weights.files, then: make weights-lock")
    return _named(file)


def lengths(batch: Sequence[Tokens]) -> Any:
    """The number of tokens of each text, without padding: int64[texts]."""
    import numpy

    return numpy.array([len(one.ids) for one in batch])


def _named(file: Path) -> Pool:
    content = read_json(file)
    mode = content.get("pooling_mode")
    modes = [mode] if isinstance(mode, str) else list(mode or [])
    modes += [name for name in _OLD_NAMES if content.get(name)]
    named = [_OLD_NAMES.get(name, name) for name in modes]
    if len(named) != 1 or named[0] not in _POOLS:
        raise EngineError(
            f"{file} pools by {', '.join(named) or 'nothing'}, which is not supported: one of {', '.join(_POOLS)} is"
        )
    return _POOLS[named[0]]


def _mean(hidden: Any, counts: Any) -> Any:
    return _sum(hidden, counts) / counts[:, None]


def _mean_of_root(hidden: Any, counts: Any) -> Any:
    return _sum(hidden, counts) / counts[:, None] ** 0.5


def _first(hidden: Any, counts: Any) -> Any:
    return hidden[:, 0]


def _last(hidden: Any, counts: Any) -> Any:
    return hidden[range(len(counts)), counts - 1]


def _max(hidden: Any, counts: Any) -> Any:
    import numpy

    return numpy.where(_is_text(hidden, counts)[..., None], hidden, -numpy.inf).max(axis=1)


def _sum(hidden: Any, counts: Any) -> Any:
    import numpy

    return numpy.einsum("btw,bt->bw", hidden, _is_text(hidden, counts).astype(hidden.dtype))


def _is_text(hidden: Any, counts: Any) -> Any:
    """bool[texts, tokens], False for padding."""
    import numpy

    return numpy.arange(hidden.shape[1]) < counts[:, None]


_POOLS: dict[str, Pool] = {
    "mean": _mean,
    "cls": _first,
    "max": _max,
    "lasttoken": _last,
    "mean_sqrt_len_tokens": _mean_of_root,
}
_OLD_NAMES = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
}
