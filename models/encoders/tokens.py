"""Turns texts and pairs of texts into the token ids that an encoder reads, with the model's own tokenizer.

`padded` makes a batch of them.

https://huggingface.co/docs/tokenizers
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from models.errors import InputError
from models.json_files import read_json, read_tokenizer

_NO_LIMIT = 1 << 24  # tokenizers without a limit have 10^30 there
_FEW_TEXTS, _FEW_CHARACTERS = 8, 4000  # tokenized in less time than a thread takes to start
_OFFSET_OF_POSITIONS = ("roberta", "xlm-roberta", "camembert", "mpnet", "xlm-roberta-xl", "longformer")
"""Architectures whose positions begin after the padding's position: they can use 512 of 514."""


@dataclass(frozen=True)
class Tokens:
    """A text or a pair of texts: the `ids` of its tokens; `types`: the text each token belongs to, 0 or 1."""

    ids: list[int]
    types: list[int]
    is_cut: bool = False


def padded(batch: Sequence[Tokens], pad_id: int, multiple: int = 1) -> dict[str, Any]:
    """`input_ids`, `attention_mask` and `token_type_ids`, each int64[texts, tokens], padded on the right.

    `multiple`: the number of tokens is padded to a multiple of it.
    """
    import numpy

    longest = max(len(one.ids) for one in batch)
    shape = (len(batch), -(-longest // multiple) * multiple)
    ids = numpy.full(shape, pad_id, dtype=numpy.int64)
    mask, types = numpy.zeros(shape, dtype=numpy.int64), numpy.zeros(shape, dtype=numpy.int64)
    for row, one in enumerate(batch):
        ids[row, : len(one.ids)] = one.ids
        mask[row, : len(one.ids)] = 1
        types[row, : len(one.ids)] = one.types
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}


class Tokenizer:
    """Safe to use from several threads. `limit`: the most tokens that the model reads, special tokens included."""

    def __init__(self, folder: Path, limit: int | None) -> None:
        self._folder = folder
        self._lowers = bool(read_json(folder / "sentence_bert_config.json").get("do_lower_case"))
        self._whole, self._cutting = read_tokenizer(folder), read_tokenizer(folder)
        self.limit = min(limit or _NO_LIMIT, self._limit_of_files)
        self._cutting.enable_truncation(self.limit, strategy="only_first")

    def encode(self, texts: Sequence[Any], name: str, cuts: bool, pairs_of_each: int = 1) -> list[Tokens]:
        """The tokens of each text or pair of texts. Only the first text of a pair is cut.

        `name`: the input's name, for messages; `cuts`: whether a text that is too long is cut or refused;
        `pairs_of_each`: how many pairs in a row begin with the same text.

        Raises:
            InputError: a text is too long; says which, and how long it is.
        """
        given = [self._lowered(text) for text in texts] if self._lowers else list(texts)
        encoded = self._whole.encode_batch(given)
        long = [number for number, one in enumerate(encoded) if len(one) > self.limit]
        if long and not cuts:
            number, count = long[0] // pairs_of_each + 1, len(encoded[long[0]])
            raise InputError(
                f"text {number} of {name} has {count} tokens, and the model reads {self.limit}: "
                "shorten it, or set truncate to true"
            )
        for number in long:
            encoded[number] = self._cut(given[number], name)
        cut = set(long)
        return [Tokens(one.ids, one.type_ids, number in cut) for number, one in enumerate(encoded)]

    async def encode_beside(self, texts: Sequence[Any], name: str, cuts: bool, pairs_of_each: int = 1) -> list[Tokens]:
        """Like `encode`, but tokenizes long inputs in a thread, so that other predictions continue."""
        if len(texts) <= _FEW_TEXTS and sum(map(_characters, texts)) <= _FEW_CHARACTERS:
            return self.encode(texts, name, cuts, pairs_of_each)
        return await asyncio.to_thread(self.encode, texts, name, cuts, pairs_of_each)

    def _cut(self, given: Any, name: str) -> Any:
        try:
            return self._cutting.encode(*given) if isinstance(given, tuple) else self._cutting.encode(given)
        except Exception as error:  # the library raises no narrower class: the second text alone is too long
            raise InputError(f"what is paired with a text of {name} has more tokens than the model reads") from error

    def _lowered(self, text: Any) -> Any:
        return tuple(part.lower() for part in text) if isinstance(text, tuple) else text.lower()

    @cached_property
    def _limit_of_files(self) -> int:
        """The lowest limit that the model's files name, so that no position is used that the model does not have."""
        config = read_json(self._folder / "config.json")
        positions = config.get("max_position_embeddings")
        if isinstance(positions, int) and config.get("model_type") in _OFFSET_OF_POSITIONS:
            positions -= (config.get("pad_token_id") or 0) + 1
        named = [
            positions,
            read_json(self._folder / "sentence_bert_config.json").get("max_seq_length"),
            read_json(self._folder / "tokenizer_config.json").get("model_max_length"),
        ]
        return int(min(limit for limit in (*named, _NO_LIMIT) if isinstance(limit, int | float) and limit > 0))


def _characters(text: Any) -> int:
    return sum(map(len, text)) if isinstance(text, tuple) else len(text)
