"""Text from token ids, safe to send as it comes: whole characters only, and nothing of a stop string."""

import codecs
from collections.abc import Sequence

from models.tasks.text_generation.tokenizer import Tokenizer

_BYTE_BY_BYTE = "replace-byte-by-byte"


class TextPieces:
    """Turns token ids into text, each character as soon as its last byte has come.

    `after`: the tokens of a text that is continued, as a raw prompt is. Without them the text begins anew, which leaves
    out the space before its first word where the tokenizer writes one before every word.

    Bytes that are no UTF-8 become U+FFFD as the kinds of tokenizers write it: byte-level BPE one for each broken-off
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
        """The text that `token_ids` complete; may be empty."""
        return "".join([self._next(token_id) for token_id in token_ids if self._tokenizer.is_text(token_id)])

    def rest(self) -> str:
        """What was held back, at the end: a character that never was finished."""
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
        """A token's text is what it adds to the text of the one before, which decides about the space between.

        At the beginning all tokens are decoded until a text comes, as the space that is left out may be a token.
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
    """Cuts text before the stop string that is complete first, and holds back what could become one."""

    def __init__(self, stop_strings: Sequence[str]) -> None:
        self._stop_strings = list(stop_strings)
        self._held = ""
        self.found = False

    def push(self, text: str) -> str:
        """What of the text so far is safe to send; `found` says that a stop string was met."""
        if self.found:
            return ""
        text = self._held + text
        met = [(at + len(stop), at) for stop in self._stop_strings if (at := text.find(stop)) >= 0]
        if met:
            self.found, self._held = True, ""
            return text[: min(met)[1]]
        keep = self._possible_beginning(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def rest(self) -> str:
        """What was held back, when the text ends without a stop string."""
        held, self._held = self._held, ""
        return held

    def _possible_beginning(self, text: str) -> int:
        """Length of the longest end of `text` that begins a stop string."""
        longest = 0
        for stop in self._stop_strings:
            for length in range(min(len(stop) - 1, len(text)), longest, -1):
                if stop.startswith(text[-length:]):
                    longest = length
                    break
        return longest
