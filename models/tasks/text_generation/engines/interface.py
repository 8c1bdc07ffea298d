"""What a text-generation engine takes and gives: token ids in, token ids out as they come."""

import queue
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from models.errors import EngineError

FinishReason = Literal["stop", "length", "cancelled"]
Message = dict[str, Any]
"""{"role": "system" | "user" | "assistant" | ..., "content": text, ...}"""

Logits = Callable[[list[int]], Any]
"""The logits after each token of a text: float32[tokens, vocabulary]. One thread at a time may call it."""


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. `temperature` 0: the most likely one; `top_k` 0: from all.

    `end_ids`: the tokens that end the text; without any it goes on to max_tokens.
    """

    max_tokens: int
    temperature: float
    top_p: float
    top_k: int
    repetition_penalty: float
    seed: int
    end_ids: frozenset[int] = frozenset()


class Generation:
    """One running generation: a queue that the engine's thread fills and the prediction's thread drains."""

    def __init__(self, prompt_ids: Sequence[int], sampling: Sampling) -> None:
        self.prompt_ids = list(prompt_ids)
        self.sampling = sampling
        self.finish_reason: FinishReason | None = None
        self.wanted = True
        self.has_begun = False  # its first tokens have come
        self._events: queue.SimpleQueue[list[int] | FinishReason | Exception] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[list[int]]:
        """New token ids, without the end token, until `finish_reason` is set.

        Raises:
            EngineError: the engine failed while this ran.
        """
        while True:
            event = self._events.get()
            if isinstance(event, list):
                yield event
            elif isinstance(event, Exception):
                raise EngineError(f"the engine failed while it generated: {event}") from event
            else:
                self.finish_reason = event
                return

    def put(self, token_ids: list[int]) -> None:
        """For the engine: hand over the tokens of one step."""
        self.has_begun = True
        self._events.put(token_ids)

    def finish(self, reason: FinishReason) -> None:
        """For the engine: there is no more."""
        self._events.put(reason)

    def fail(self, error: Exception) -> None:
        """For the engine: end this generation with an error."""
        self._events.put(error)

    def cancel(self) -> None:
        """Wake the reader at once with the finish reason "cancelled", and let the engine drop the rest."""
        self.wanted = False
        self._events.put("cancelled")


class Engine(Protocol):
    """A loaded model that runs many generations at once. Every method may be called from several threads."""

    name: str
    device: str
    dtype: str
    attention: str
    """The implementation of attention, for the log."""
    folder: Path
    """Where its files are, and with them the model's tokenizer and chat templates."""
    cache_tokens: int
    """Tokens that fit in the key-value cache, of all running generations together."""

    def announce(self) -> None:
        """A prediction has begun and will soon be submitted, unless its input is refused."""

    def submit(self, generation: Generation) -> None:
        """Start `generation`, which joins the running batch at the next step; returns at once."""

    def is_healthy(self) -> bool:
        """False once the engine has failed and could not be started again."""

    def stop(self) -> None:
        """End its threads, so that the process can end; a server never needs to."""
