"""Text from token ids, safe to send as it comes: whole characters only, and nothing of a stop string."""

from collections.abc import Callable, Sequence

_UNFINISHED = "\ufffd"
_WINDOW = 16


class TextPieces:
    """Turns token ids into text. A piece is held back while it ends inside a UTF-8 character.

    Only the last tokens are decoded anew each time, after a few earlier ones that settle how a word begins.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._window: list[int] = []
        self._sent = ""

    def push(self, token_ids: Sequence[int]) -> str:
        """The text that `token_ids` complete; may be empty."""
        self._window += token_ids
        text = self._decode(self._window)
        if text.endswith(_UNFINISHED) or len(text) <= len(self._sent):
            return ""
        return self._take(text)

    def rest(self) -> str:
        """What was held back, at the end: a character that never was finished stays U+FFFD."""
        return self._take(self._decode(self._window)) if self._window else ""

    def _take(self, text: str) -> str:
        piece = text[len(self._sent) :]
        self._sent = text
        if len(self._window) > _WINDOW:
            self._window = self._window[-_WINDOW // 4 :]
            self._sent = self._decode(self._window)
        return piece


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
