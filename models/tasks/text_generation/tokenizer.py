"""The model's own tokenizer, read by the library `tokenizers`: text to token ids, and back without losing a byte.

https://huggingface.co/docs/tokenizers
"""

import json
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from models.errors import WeightsError
from models.tasks.text_generation.model_files import TOKENIZER, ModelFiles

_BYTE_TOKEN = re.compile("<0x([0-9A-F]{2})>")


class Tokenizer:
    """Several threads may use one.

    `special_ids`: tokens that are no text, and are left out of it; `spells_bytes`: every token is bytes, as in
    byte-level BPE; `count`: of all tokens.
    """

    def __init__(self, files: ModelFiles) -> None:
        import tokenizers

        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(files.folder / TOKENIZER))
        except Exception as error:  # the library raises this very class
            raise WeightsError(f"{files.folder / TOKENIZER} cannot be read: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        added = self._tokenizer.get_added_tokens_decoder()
        self.special_ids = frozenset(token_id for token_id, token in added.items() if token.special)
        self.count = self._tokenizer.get_vocab_size()
        decoders = _kinds(json.loads(self._tokenizer.to_str())["decoder"] or {})
        self.spells_bytes = "ByteLevel" in decoders
        self._has_byte_tokens = "ByteFallback" in decoders
        self._begin_ids = self._begin(files)
        self.bytes_of = cache(self._bytes_of)

    def encode(self, text: str) -> list[int]:
        """The token ids of `text`; special tokens written in it are read as such, and none is added."""
        token_ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return token_ids

    def encode_beginning(self, text: str) -> list[int]:
        """The token ids of a text that begins a document: after the begin token, where the model's files ask for it."""
        token_ids, begin = self.encode(text), self._begin_ids
        return token_ids if token_ids[: len(begin)] == begin else begin + token_ids

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of `token_ids` by themselves, special tokens left out."""
        text: str = self._tokenizer.decode(token_ids, skip_special_tokens=True)
        return text

    def id_of(self, token: str) -> int | None:
        """The id of a token's own text; None where there is no such token."""
        token_id: int | None = self._tokenizer.token_to_id(token)
        return token_id

    def is_text(self, token_id: int) -> bool:
        """Whether a token is part of the text: not special, and known; a model can have more ids than its tokenizer."""
        return token_id not in self.special_ids and token_id < self.count

    def text_of(self, token_id: int) -> str:
        """How a token is written in the vocabulary."""
        return self._tokenizer.id_to_token(token_id) or f"token {token_id}"

    def _bytes_of(self, token_id: int) -> bytes | None:
        """The bytes of UTF-8 that a token stands for; None for one that is text, whose spaces its neighbours decide."""
        token = self._tokenizer.id_to_token(token_id) or ""
        if self.spells_bytes:
            alphabet = _byte_alphabet()
            is_spelled = all(character in alphabet for character in token)
            return bytes(alphabet[character] for character in token) if is_spelled else token.encode()
        spelled = _BYTE_TOKEN.fullmatch(token) if self._has_byte_tokens else None
        return bytes.fromhex(spelled[1]) if spelled else None

    def _begin(self, files: ModelFiles) -> list[int]:
        """What comes before a text: as tokenizer_config.json says, or else as tokenizer.json itself adds it."""
        asked = files.tokenizer_config.get("add_bos_token")
        if asked is None:
            token_ids, plain = self._tokenizer.encode("a").ids, self.encode("a")
            return token_ids[: _index(token_ids, plain)]
        begin = self.id_of(files.special_tokens.get("bos_token", "")) if asked else None
        return [] if begin is None else [begin]


@cache
def _byte_alphabet() -> dict[str, int]:
    """The character that byte-level BPE writes for each byte: itself where it is visible, else one from U+0100 on.

    Source: https://github.com/openai/gpt-2/blob/master/src/encoder.py, bytes_to_unicode.
    """
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {chr(byte): byte for byte in visible} | {chr(256 + number): byte for number, byte in enumerate(hidden)}


def _kinds(part: dict[str, Any]) -> set[str]:
    """The types of a decoder and of those it is made of."""
    inner = [_kinds(decoder) for decoder in part.get("decoders", [])]
    return {part.get("type", "")}.union(*inner)


def _index(items: list[int], part: list[int]) -> int:
    """Where `part` begins in `items`; 0 where it does not occur."""
    places = range(len(items) - len(part) + 1)
    return next((place for place in places if items[place : place + len(part)] == part), 0)
