"""The model's own tokenizer, read by the library `tokenizers`: text to token ids and back, without losing a byte.

https://huggingface.co/docs/tokenizers
"""

import json
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from models.json_files import read_tokenizer
from models.tasks.text_generation.model_files import ModelFiles

_BYTE_TOKEN = re.compile("<0x([0-9A-F]{2})>")


class Tokenizer:
    """Safe to use from several threads.

    `special_ids`: tokens that are not text and are left out of it; `spells_bytes`: whether every token stands for
    bytes, as in byte-level BPE; `count`: the number of tokens.
    """

    def __init__(self, files: ModelFiles) -> None:
        self._tokenizer = read_tokenizer(files.folder)
        added = self._tokenizer.get_added_tokens_decoder()
        self.special_ids = frozenset(token_id for token_id, token in added.items() if token.special)
        self.count = self._tokenizer.get_vocab_size()
        decoders = _kinds(json.loads(self._tokenizer.to_str())["decoder"] or {})
        self.spells_bytes = "ByteLevel" in decoders
        self._has_byte_tokens = "ByteFallback" in decoders
        self._begin_ids = self._begin(files)
        self.bytes_of = cache(self._bytes_of)

    def encode(self, text: str) -> list[int]:
        """The token ids of `text`. Special tokens written in it are recognised; none is added."""
        token_ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return token_ids

    def encode_beginning(self, text: str) -> list[int]:
        """The token ids of a text that begins a document: with the begin token first, if the model's files want it."""
        token_ids, begin = self.encode(text), self._begin_ids
        return token_ids if token_ids[: len(begin)] == begin else begin + token_ids

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of `token_ids` alone, without special tokens."""
        text: str = self._tokenizer.decode(token_ids, skip_special_tokens=True)
        return text

    def id_of(self, token: str) -> int | None:
        """The id of the token with this text; None if there is none."""
        token_id: int | None = self._tokenizer.token_to_id(token)
        return token_id

    def is_text(self, token_id: int) -> bool:
        """Whether a token is text: known and not special. A model can have more ids than its tokenizer."""
        return token_id not in self.special_ids and token_id < self.count

    def text_of(self, token_id: int) -> str:
        """How a token is written in the vocabulary."""
        return self._tokenizer.id_to_token(token_id) or f"token {token_id}"

    def _bytes_of(self, token_id: int) -> bytes | None:
        """The UTF-8 bytes that a token stands for; None if it is text, whose spaces depend on the tokens around it."""
        token = self._tokenizer.id_to_token(token_id) or ""
        if self.spells_bytes:
            alphabet = _byte_alphabet()
            is_spelled = all(character in alphabet for character in token)
            return bytes(alphabet[character] for character in token) if is_spelled else token.encode()
        spelled = _BYTE_TOKEN.fullmatch(token) if self._has_byte_tokens else None
        return bytes.fromhex(spelled[1]) if spelled else None

    def _begin(self, files: ModelFiles) -> list[int]:
        """The tokens before a text: as tokenizer_config.json says, otherwise those that tokenizer.json adds."""
        is_wanted = files.tokenizer_config.get("add_bos_token")
        if is_wanted is None:
            token_ids: list[int] = self._tokenizer.encode("a").ids
            return token_ids[: _index(token_ids, self.encode("a"))]
        begin = self.id_of(files.special_tokens.get("bos_token", "")) if is_wanted else None
        return [] if begin is None else [begin]


@cache
def _byte_alphabet() -> dict[str, int]:
    """The byte of each character of byte-level BPE: visible bytes stand for themselves, others for U+0100 onwards.

    Source: https://github.com/openai/gpt-2/blob/master/src/encoder.py, bytes_to_unicode.
    """
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {chr(byte): byte for byte in visible} | {chr(256 + number): byte for number, byte in enumerate(hidden)}


def _kinds(decoder: dict[str, Any]) -> set[str]:
    """The types of a decoder and of the decoders inside it."""
    inner = [_kinds(one) for one in decoder.get("decoders", [])]
    return {decoder.get("type", "")}.union(*inner)


def _index(items: list[int], wanted: list[int]) -> int:
    """The index at which `wanted` begins in `items`; 0 if it does not occur."""
    starts = range(len(items) - len(wanted) + 1)
    return next((start for start in starts if items[start : start + len(wanted)] == wanted), 0)
