"""The adapter of text generation: turns a request into token ids, has an engine continue them, and streams the text."""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from models.cancellation import Cancellation
from models.errors import InputError
from models.manifest import selected_as
from models.tasks.text_generation import engines
from models.tasks.text_generation.engines.interface import Engine, Generation, Message, Sampling, State
from models.tasks.text_generation.manifest import Manifest
from models.tasks.text_generation.model_text import ModelText
from models.tasks.text_generation.text_pieces import StopStrings, TextPieces

_EXAMPLE = '{"role": "user", "content": "Hi"}'
COLDEST = 1e-3  # a lower temperature makes the same choices as 0, but engines would divide by it
RecordMetric = Callable[[str, Any], None]


@dataclass(frozen=True, kw_only=True)
class Request:
    """The inputs of predict(); predict.py gives the meaning, bounds and default of each."""

    prompt: str | None
    messages: list[Any] | None
    system_prompt: str | None
    max_tokens: int
    temperature: float | None
    top_p: float | None
    top_k: int | None
    repetition_penalty: float | None
    stop: list[str] | None
    seed: int | None
    raw: bool
    template_variables: dict[str, Any] | None


def load(slug: str = "") -> "TextGeneration":
    """Load the model `slug`, or else the selected one, onto the best available device.

    Raises:
        ManifestError, EngineError, WeightsError: each names what is wrong and the remedy.
    """
    model = selected_as(Manifest, slug)
    engine = engines.start(model)
    text = ModelText(engine.folder, model)
    text.describe()
    return TextGeneration(engine, text, model.longest_context())


class TextGeneration:
    """A loaded model.

    `context_length`: the most tokens of prompt and output together; the engine's cache may hold fewer.
    """

    def __init__(self, engine: Engine, text: ModelText, context_length: int) -> None:
        self.engine = engine
        self.text = text
        self.context_length = context_length

    def is_healthy(self) -> bool:
        return self.engine.is_healthy()

    def generate(self, request: Request, cancellation: Cancellation, record_metric: RecordMetric) -> Iterator[str]:
        """The generated text in pieces. A piece has only complete characters, and no part of a stop string.

        Records input_token_count, output_token_count, time_to_first_token (s), tokens_per_second (after the first
        token), finish_reason ("stop", "length" or "cancelled"), seed, engine and device.

        Raises:
            InputError: the request cannot be answered; says why.
            EngineError: the engine failed.
            asyncio.CancelledError: the prediction was cancelled.
        """
        started = time.monotonic()
        stop_strings = _checked_stop(request)
        prompt_ids = self.prompt_ids(request)
        generation = Generation(prompt_ids, self._sampling(request, len(prompt_ids)))
        record_metric("input_token_count", len(prompt_ids))
        record_metric("seed", generation.sampling.seed)
        record_metric("engine", self.engine.name)
        record_metric("device", self.engine.device)
        measures = _Measures(started)
        cancellation.listen(generation.cancel)
        self.engine.submit(generation)
        try:
            yield from self._pieces(generation, request.raw, stop_strings, measures)
        finally:
            generation.become(State.CANCELLED)  # if the reader stopped before the end
            measures.record(record_metric)
            if generation.state is not State.FAILED:
                record_metric("finish_reason", generation.state.value)
        if generation.state is State.CANCELLED:
            raise asyncio.CancelledError

    def prompt_ids(self, request: Request) -> list[int]:
        """The token ids of the request's prompt or messages.

        Raises:
            InputError: the request has no prompt, or inputs that exclude each other; says why.
        """
        if request.messages is not None and request.prompt is not None:
            raise InputError("prompt and messages exclude each other: send one of them")
        if request.raw:
            return self.text.raw_ids(_checked_raw(request))
        if request.messages is not None:
            return self._chat_ids(_checked_messages(request.messages), request, "messages")
        if not request.prompt:
            raise InputError("prompt is empty: send a prompt, or messages")
        return self._chat_ids([{"role": "user", "content": request.prompt}], request, "prompt")

    def _pieces(
        self, generation: Generation, is_raw: bool, stop_strings: list[str], measures: "_Measures"
    ) -> Iterator[str]:
        pieces = TextPieces(self.text.tokenizer, after=generation.prompt_ids if is_raw else ())
        stops = StopStrings(stop_strings)
        for token_ids in generation:
            measures.count(len(token_ids))
            piece = stops.push(pieces.push(token_ids))
            if piece:
                yield piece
            if stops.found:
                generation.become(State.STOPPED)
                return
        if generation.state is not State.CANCELLED:
            rest = stops.push(pieces.rest()) + stops.rest()
            if stops.found:
                generation.become(State.STOPPED)
            if rest:
                yield rest

    def _chat_ids(self, messages: list[Message], request: Request, input_name: str) -> list[int]:
        if messages[0]["role"] == "system" and request.system_prompt is not None:
            raise InputError("system_prompt and a message with the role system exclude each other: send one of them")
        return self.text.chat_ids(messages, request.system_prompt, request.template_variables or {}, input_name)

    def _sampling(self, request: Request, prompt_tokens: int) -> Sampling:
        fit = min(self.context_length, self.engine.cache_tokens)
        room = fit - prompt_tokens
        if room < 1:
            cache = f" (the model takes {self.context_length}, the server's cache_gb is less)"
            raise InputError(
                f"the prompt has {prompt_tokens} tokens and {fit} fit{cache if fit < self.context_length else ''}, "
                f"answer included: shorten it to at most {fit - 1}"
            )
        sent = {name: getattr(request, name) for name in self.text.sampling}
        chosen = {name: default if sent[name] is None else sent[name] for name, default in self.text.sampling.items()}
        return Sampling(
            max_tokens=min(request.max_tokens, room),
            temperature=chosen["temperature"] if chosen["temperature"] >= COLDEST else 0,
            top_p=chosen["top_p"],
            top_k=int(chosen["top_k"]),
            repetition_penalty=chosen["repetition_penalty"],
            seed=secrets.randbelow(2**32) if request.seed is None else request.seed,
            end_ids=self.text.end_ids,
        )


class _Measures:
    """Counts tokens and measures times of one generation, from `started` (monotonic seconds)."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._first: float | None = None
        self._last = started
        self._first_count = 0
        self._tokens = 0

    def count(self, tokens: int) -> None:
        self._last = time.monotonic()
        if self._first is None:
            self._first, self._first_count = self._last, tokens
        self._tokens += tokens

    def record(self, record_metric: RecordMetric) -> None:
        record_metric("output_token_count", self._tokens)
        if self._first is None:
            return
        record_metric("time_to_first_token", round(self._first - self._started, 4))
        if self._last > self._first:
            rate = (self._tokens - self._first_count) / (self._last - self._first)
            record_metric("tokens_per_second", round(rate, 2))


def _checked_stop(request: Request) -> list[str]:
    stop = request.stop or []
    if any(not text for text in stop):
        raise InputError("stop holds an empty string: leave it out")
    return stop


def _checked_raw(request: Request) -> str:
    if request.messages is not None or request.system_prompt is not None or request.template_variables:
        raise InputError(
            "raw continues prompt as it is: leave out messages, system_prompt and template_variables, "
            "or set raw to false"
        )
    if not request.prompt:
        raise InputError("prompt is empty: send a prompt, or messages")
    return request.prompt


def _checked_messages(messages: list[Any]) -> list[Message]:
    """The conversation as it was sent. The chat template decides which roles exist and in which order they may come.

    Raises:
        InputError: there is no message, or one is malformed or has a role that is wrong at its position; says which.
    """
    if not messages:
        raise InputError("messages is empty: send at least one message with the role user")
    for number, message in enumerate(messages, start=1):
        if not isinstance(message, dict) or "role" not in message or len(message) < 2:
            raise InputError(f"message {number} must be an object with role and content, like {_EXAMPLE}")
        if not isinstance(message["role"], str):
            raise InputError(f"message {number} has the role {message['role']!r}: it must be a text, like user")
        is_empty = message.get("content") is None and message.keys() - {"role", "content"}  # a tool call, for example
        if not is_empty and (not isinstance(message.get("content"), str) or not message["content"]):
            raise InputError(f"message {number} needs a text as its content")
        if message["role"] == "system" and number > 1:
            raise InputError(f"message {number} has the role system: only the first may")
    if messages[-1]["role"] in ("assistant", "system"):
        raise InputError("the last message must have the role user, or another that the model answers")
    return messages
