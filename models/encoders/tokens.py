"""Texts and pairs of texts as the token ids that an encoder reads, by the model's own tokenizer.

https://huggingface.co/docs/tokenizers
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from models.encoders.files import read_json
from models.errors import InputError, WeightsError

_NAME = "tokenizer.json"
_NO_LIMIT = 1 << 24  # tokenizers without a limit say 10^30
_FEW_TEXTS, _FEW_CHARACTERS = 8, 4000  # read in less time than a thread takes to begin
_OFFSET_OF_POSITIONS = ("roberta", "xlm-roberta", "camembert", "mpnet", "xlm-roberta-xl", "longformer")
"""Architectures whose positions begin after that of the padding: of 514 they can use 512."""


@dataclass(frozen=True)
class Tokens:
    """A text, or a pair: `ids` of its tokens; `types` says which of the two each belongs to."""

    ids: list[int]
    types: list[int]
    is_cut: bool = False


class Tokenizer:
    """Several threads may use one. `limit`: the most tokens that the model reads, special ones included."""

    def __init__(self, folder: Path, limit: int | None) -> None:
        self._folder = folder
        self._lowers = bool(read_json(folder / "sentence_bert_config.json").get("do_lower_case"))
        self._whole, self._cutting = self._read(), self._read()
        self.limit = min(limit or _NO_LIMIT, self._limit_of_files)
        self._cutting.enable_truncation(self.limit, strategy="only_first")

    def encode(self, texts: Sequence[Any], name: str, cuts: bool, pairs_of_each: int = 1) -> list[Tokens]:
        """The tokens of each text, or pair of texts; of a pair only the first text is cut.

        `name`: of the input, for messages; `cuts`: whether a text that is too long is cut or refused; `pairs_of_each`:
        how many pairs in a row begin with the same text.

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
        """As `encode`, and other predictions go on while it reads much."""
        if len(texts) <= _FEW_TEXTS and sum(map(_characters, texts)) <= _FEW_CHARACTERS:
            return self.encode(texts, name, cuts, pairs_of_each)
        return await asyncio.to_thread(self.encode, texts, name, cuts, pairs_of_each)

    def _cut(self, given: Any, name: str) -> Any:
        try:
            return self._cutting.encode(*given) if isinstance(given, tuple) else self._cutting.encode(given)
        except Exception as error:  # the library raises this very class: the second text alone is too long
            raise InputError(f"what stands beside a text of {name} has more tokens than the model reads") from error

    def _lowered(self, text: Any) -> Any:
        return tuple(part.lower() for part in text) if isinstance(text, tuple) else text.lower()

    def _read(self) -> Any:
        import tokenizers

        path = self._folder / _NAME
        if not path.is_file():
            raise WeightsError(
                f"{self._folder} has no {_NAME}, which is how a tokenizer is read: with transformers and sentencepiece "
                "installed, AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER) makes one; put it beside the "
                "weights at their source, then: make weights-lock"
            )
        try:
            tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises this very class
            raise WeightsError(f"{path} cannot be read: {error}") from error
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _limit_of_files(self) -> int:
        """The least that the model's files name; positions that the model has not are never used."""
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
