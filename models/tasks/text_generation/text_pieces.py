"""Turns token ids into text that can be sent at once: only complete characters, and no part of a stop string."""

import codecs
from collections.abc import Sequence

from models.tasks.text_generation.tokenizer import Tokenizer

_BYTE_BY_BYTE = "replace-byte-by-byte"


class TextPieces:
    """Turns token ids into text; each character is returned as soon as its last byte is known.

    `after`: the tokens of the text that is continued, like a raw prompt. Without them the text is a new one: if the
    tokenizer writes a space before every word, the one before the first word is left out.

    Bytes that are not UTF-8 become U+FFFD, as the tokenizers do it: byte-level BPE writes one for each incomplete
    character, sentencepiece one for each byte.
    """

    def __init__(self, tokenizer: Tokenizer, after: Sequence[int] = ()) -> None:
        self._tokenizer = tokenizer
        decoder = codecs.getincrementaldecoder("utf-8")
        self._utf8 = decoder("replace" if tokenizer.spells_bytes else _BYTE_BY_BYTE)
        self._context = [token_id for token_id in after if tokenizer.is_text(token_id)][-1:]
        self._known = len(tokenizer.decode(self._context))
        self._has_begun = bool(self._context)

    def push(self, token_ids: Sequence[int]) -> str:
        """The text that is complete with `token_ids`; may be empty."""
        return "".join([self._next(token_id) for token_id in token_ids if self._tokenizer.is_text(token_id)])

    def rest(self) -> str:
        """The text that was held back until the end: an incomplete character."""
        return self._utf8.decode(b"", final=True)

    def _next(self, token_id: int) -> str:
        spelled = self._tokenizer.bytes_of(token_id)
        if spelled is None or (spelled == b" " and not self._has_begun):
            text = self.rest() + self._word(token_id)
        else:
            text = self._utf8.decode(spelled)
            if not self._tokenizer.spells_bytes:
                self._come_to(token_id)
        self._has_begun = self._has_begun or bool(text)
        return text

    def _word(self, token_id: int) -> str:
        """The text that a token adds to that of the token before, which decides whether there is a space between them.

        At the beginning, tokens are decoded together until there is text, as the omitted space may be its own token.
        """
        self._context = [*self._context, token_id]
        text = self._tokenizer.decode(self._context)[self._known :]
        if text or self._has_begun:
            self._come_to(token_id)
        return text

    def _come_to(self, token_id: int) -> None:
        self._context = [token_id]
        self._known = len(self._tokenizer.decode(self._context))


def _replaced(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "\ufffd" * (error.end - error.start), error.end


codecs.register_error(_BYTE_BY_BYTE, _replaced)


class StopStrings:
    """Cuts text before the first complete stop string, and holds back text that may become one."""

    def __init__(self, stop_strings: Sequence[str]) -> None:
        self._stop_strings = list(stop_strings)
        self._held = ""
        self.found = False

    def push(self, text: str) -> str:
        """The part of the text so far that can be sent. `found` is true once a stop string was found."""
        if self.found:
            return ""
        text = self._held + text
        matches = [(at + len(stop), at) for stop in self._stop_strings if (at := text.find(stop)) >= 0]
        if matches:
            self.found, self._held = True, ""
            return text[: min(matches)[1]]
        keep = self._possible_beginning(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def rest(self) -> str:
        """The text that was held back, once the text has ended without a stop string."""
        held, self._held = self._held, ""
        return held

    def _possible_beginning(self, text: str) -> int:
        """The length of the longest suffix of `text` that is a prefix of a stop string."""
        longest = 0
        for stop in self._stop_strings:
            for length in range(min(len(stop) - 1, len(text)), longest, -1):
                if stop.startswith(text[-length:]):
                    longest = length
                    break
        return longest
