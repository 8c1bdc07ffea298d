"""The interface of a text-generation engine: it takes token ids and streams token ids."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from models.errors import EngineError

Message = dict[str, Any]
"""{"role": "system" | "user" | "assistant" | ..., "content": text, ...}"""

Logits = Callable[[list[int]], Any]
"""Computes the logits after each token of a text: float32[tokens, vocabulary]. Not safe to use from several threads."""


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. `temperature` 0: the most likely token; `top_k` 0: any token.

    `end_ids`: the tokens that end the text; without any, it ends at max_tokens.
    """

    max_tokens: int
    temperature: float
    top_p: float
    top_k: int
    repetition_penalty: float
    seed: int
    end_ids: frozenset[int] = frozenset()


class State(Enum):
    """The state of a generation: it waits, runs, and ends in one of four ways."""

    WAITING = "waiting"
    """It has no token yet."""
    RUNNING = "running"
    STOPPED = "stop"
    """Ended at an end token or a stop string."""
    CUT = "length"
    """Ended at max_tokens."""
    CANCELLED = "cancelled"
    FAILED = "failed"


_ENDS = frozenset({State.STOPPED, State.CUT, State.CANCELLED, State.FAILED})


class Generation:
    """One generation: a queue that the engine's thread fills and the prediction's thread drains."""

    def __init__(self, prompt_ids: Sequence[int], sampling: Sampling) -> None:
        self.prompt_ids = list(prompt_ids)
        self.sampling = sampling
        self.state = State.WAITING
        self._changes = threading.Lock()
        self._events: queue.SimpleQueue[list[int] | State | Exception] = queue.SimpleQueue()

    @property
    def has_ended(self) -> bool:
        """Whether it is over. Nobody reads the tokens that the engine may still make."""
        return self.state in _ENDS

    def become(self, state: State) -> bool:
        """Change the state, from any thread; returns whether it changed. An end is final.

        One exception: a text that was cut at max_tokens becomes a stopped one if its end contains a stop string.
        """
        with self._changes:
            is_final = self.has_ended and (self.state, state) != (State.CUT, State.STOPPED)
            if is_final or self.state is state:
                return False
            self.state = state
            return True

    def __iter__(self) -> Iterator[list[int]]:
        """New token ids, without the end token, until the generation ends.

        Raises:
            EngineError: the engine failed meanwhile.
        """
        while not self.has_ended:
            event = self._events.get()
            if isinstance(event, list):
                yield event
            elif isinstance(event, State):
                self.become(event)
            elif self.become(State.FAILED):
                raise EngineError(f"the engine failed while it generated: {event}") from event

    def put(self, token_ids: list[int]) -> None:
        """For the engine: add the tokens of one step."""
        self.become(State.RUNNING)
        self._events.put(token_ids)

    def finish(self, end: State) -> None:
        """For the engine: end this generation. The state changes when the reader has read all earlier tokens."""
        self._events.put(end)

    def fail(self, error: Exception) -> None:
        """For the engine: end this generation with an error."""
        self._events.put(error)

    def cancel(self) -> None:
        """End the generation now: its reader wakes up at once, and the engine drops the rest."""
        self.become(State.CANCELLED)
        self._events.put(State.CANCELLED)


class Engine(Protocol):
    """A loaded model that runs many generations at once. Every method may be called from several threads."""

    name: str
    device: str
    dtype: str
    attention: str
    """The implementation of attention, for the log."""
    folder: Path
    """The folder with its files and the model's tokenizer and chat templates."""
    cache_tokens: int
    """The tokens that fit in the key-value cache, for all running generations together."""

    def announce(self) -> None:
        """Called when a prediction has begun. It will soon be submitted, unless its input is refused."""

    def submit(self, generation: Generation) -> None:
        """Start `generation`, which joins the running batch at the next step; returns at once."""

    def is_healthy(self) -> bool:
        """False once the engine has failed and could not be started again."""

    def stop(self) -> None:
        """End its threads, so that the process can end; a server never calls this."""
