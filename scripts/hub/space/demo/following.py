"""Follows a prediction from the page's inputs to its end; an error becomes its last state."""

import asyncio
import time
import traceback
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager, suppress
from typing import Any

import gradio as gr

from . import words
from .facts import Field
from .prediction import Prediction, Refusal, Service, with_uris

_SECONDS_BETWEEN_UPDATES, _SECONDS_WITHOUT_ONE = 0.05, 1
FREE = [gr.update(visible=True), gr.update(visible=False)]
BUSY = [gr.update(visible=False), gr.update(visible=True)]
SAME = [gr.skip(), gr.skip()]
"""Updates of the buttons Run and Stop: while nothing runs, while something runs, and no change."""


class Stops:
    """What runs for each visitor, to be cancelled when Stop is pressed.

    Gradio's own `cancels` is not used: its page (6.31) shows "Error" if the end of a cancelled event, which has no
    outputs, arrives before the page has forgotten the event.
    """

    def __init__(self) -> None:
        self._running: set[tuple[str | None, asyncio.Task[None]]] = set()

    @contextmanager
    def can_stop(self, visitor: gr.Request, task: "asyncio.Task[None]") -> Iterator[None]:
        entry = (visitor.session_hash, task)
        self._running.add(entry)
        try:
            yield
        finally:
            self._running.discard(entry)

    async def press(self, visitor: gr.Request) -> None:
        """Cancel what runs for the visitor, once: a second time would cut the cancelling itself off."""
        pressed = {entry for entry in self._running if entry[0] == visitor.session_hash}
        self._running -= pressed
        for _, task in pressed:
            task.cancel()


async def follow(
    service: Service, fields: list[Field], inputs: dict[str, Any], stops: Stops, visitor: gr.Request
) -> AsyncGenerator[tuple[Prediction, str], None]:
    """The prediction and a status line, several times a second; the last one has ended.

    Closing the generator cancels the prediction, and so does the visitor's Stop.
    """
    began, newest, has_more = time.monotonic(), Prediction(), asyncio.Event()

    async def read() -> None:
        nonlocal newest
        async with aclosing(service.run(await with_uris(inputs, fields, service))) as run:
            async for prediction in run:
                newest = prediction
                has_more.set()

    reading = asyncio.create_task(read())
    reading.add_done_callback(lambda _: has_more.set())
    try:
        with stops.can_stop(visitor, reading):
            while not reading.done():
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(has_more.wait(), _SECONDS_WITHOUT_ONE)
                has_more.clear()
                if not newest.has_ended:
                    yield newest, words.status(newest, time.monotonic() - began)
                    await asyncio.sleep(_SECONDS_BETWEEN_UPDATES)
        if reading.cancelled():
            yield Prediction(output=newest.output, error="it was stopped", has_ended=True), words.stopped()
            return
        await reading
    except Refusal as refusal:
        newest = Prediction(output=newest.output, error=str(refusal), has_ended=True)
    except Exception as error:  # the page must show any error, and be ready for the next prediction
        traceback.print_exc()
        newest = Prediction(output=newest.output, error=f"{type(error).__name__}: {error}", has_ended=True)
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    yield newest, words.status(newest, time.monotonic() - began)
