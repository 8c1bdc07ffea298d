"""The cancel signal that Cog's runtime does not give to a streaming prediction with several slots.

coglet 0.22 streams from many slots at once only if `async def predict` returns a synchronous generator. The coroutine
is then done before the first token, so the runtime's `future.cancel()` changes nothing and the prediction runs to its
end. The runtime submits every prediction with `asyncio.run_coroutine_threadsafe`, and cancels the future that this
returns (crates/coglet-python/src/predictor.rs and worker_bridge.rs). `install` wraps that function, so that the
coroutine of each prediction sees a `Cancellation`, and cancelling the future requests it.

One gap remains: the runtime loses a cancel that arrives before it has started the prediction, which then runs to its
end. To start a prediction the runtime takes the GIL four times, and each time it may wait for a step of the engine.
Measured with 8 other streams and steps of 80 ms: most cancels after 20 ms were lost, a fifth of those after 50 and
100 ms, none after 200 ms. The engine is notified when a prediction begins, so that it can release the GIL for a moment.

tests/template/server/test_cog_runtime.py fails when the runtime streams async generators itself. Then delete this file.
"""

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any


class Cancellation:
    """Whether a prediction was cancelled, and who wants to be notified. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self.requested = False

    def request(self) -> None:
        """Cancel the prediction: call every listener, once."""
        with self._lock:
            if self.requested:
                return
            self.requested = True
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` when cancellation is requested, or now if it already was."""
        with self._lock:
            if not self.requested:
                self._listeners.append(listener)
                return
        listener()


_current: ContextVar[Cancellation | None] = ContextVar("cancellation", default=None)


def current() -> Cancellation:
    """The cancellation of the prediction whose coroutine calls this; outside the runtime, one that nobody requests."""
    return _current.get() or Cancellation()


def install(announce: Callable[[], None] | None = None) -> None:
    """Give every prediction of this process a `Cancellation`. Call it in setup; a second call changes nothing.

    `announce` is called when a prediction begins, before its coroutine runs.
    """
    submit = asyncio.run_coroutine_threadsafe
    if getattr(submit, "carries_cancellation", False):
        return

    def run_coroutine_threadsafe(
        coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop
    ) -> concurrent.futures.Future[Any]:
        if announce:
            announce()
        cancellation = Cancellation()

        async def carry() -> Any:
            _current.set(cancellation)
            return await coroutine

        future = submit(carry(), loop)
        cancel_future = future.cancel

        def cancel() -> bool:
            cancellation.request()
            return cancel_future()

        future.cancel = cancel  # type: ignore[method-assign]
        return future

    run_coroutine_threadsafe.carries_cancellation = True  # type: ignore[attr-defined]
    asyncio.run_coroutine_threadsafe = run_coroutine_threadsafe  # type: ignore[assignment]
