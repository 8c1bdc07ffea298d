"""The cancel signal; predictions are submitted and cancelled like in Cog's runtime, from another thread."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Iterator

import pytest

from models import cancellation
from models.cancellation import Cancellation


@pytest.fixture
def events() -> list[str]:
    """What happened, in order."""
    return []


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch, events: list[str]) -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in its own thread, with the signal installed only for this test."""
    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", asyncio.run_coroutine_threadsafe)
    cancellation.install(lambda: events.append("announced"))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def begin() -> Cancellation:
    """Like predict(): it ends before the first token, and its result outlives it."""
    return cancellation.current()


def test_cancelling_the_future_of_a_finished_coroutine_requests_cancellation(loop: asyncio.AbstractEventLoop) -> None:
    future = asyncio.run_coroutine_threadsafe(begin(), loop)
    signal = future.result(5)
    assert not signal.requested
    assert not future.cancel()
    assert signal.requested


def test_cancelling_a_running_coroutine_requests_cancellation_and_cancels_it(loop: asyncio.AbstractEventLoop) -> None:
    seen: concurrent.futures.Future[Cancellation] = concurrent.futures.Future()

    async def wait() -> None:
        seen.set_result(cancellation.current())
        await asyncio.sleep(60)

    future = asyncio.run_coroutine_threadsafe(wait(), loop)
    signal = seen.result(5)
    assert future.cancel()
    assert signal.requested
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(5)


def test_concurrent_predictions_are_cancelled_separately(loop: asyncio.AbstractEventLoop) -> None:
    both = threading.Barrier(2)

    async def predict() -> Cancellation:
        await asyncio.get_running_loop().run_in_executor(None, both.wait, 5)
        return cancellation.current()

    first, second = (asyncio.run_coroutine_threadsafe(predict(), loop) for _ in range(2))
    signals = first.result(5), second.result(5)
    second.cancel()
    assert [signal.requested for signal in signals] == [False, True]


def test_a_prediction_is_announced_before_it_runs(loop: asyncio.AbstractEventLoop, events: list[str]) -> None:
    async def predict() -> None:
        events.append("ran")

    asyncio.run_coroutine_threadsafe(predict(), loop).result(5)
    assert events == ["announced", "ran"]


def test_installing_twice_changes_nothing(loop: asyncio.AbstractEventLoop) -> None:
    installed = asyncio.run_coroutine_threadsafe
    cancellation.install()
    assert asyncio.run_coroutine_threadsafe is installed


def test_a_failure_of_the_coroutine_passes_through(loop: asyncio.AbstractEventLoop) -> None:
    async def fail() -> None:
        raise ValueError("what the prediction raised")

    with pytest.raises(ValueError, match="what the prediction raised"):
        asyncio.run_coroutine_threadsafe(fail(), loop).result(5)


def test_outside_the_runtime_cancellation_is_never_requested() -> None:
    assert not cancellation.current().requested
    assert cancellation.current() is not cancellation.current()


def test_every_listener_is_called_once() -> None:
    signal, calls = Cancellation(), []
    signal.listen(lambda: calls.append("first"))
    signal.listen(lambda: calls.append("second"))
    assert calls == []
    signal.request()
    signal.request()
    assert calls == ["first", "second"]


def test_a_listener_added_after_the_request_is_called_at_once() -> None:
    signal, calls = Cancellation(), []
    signal.request()
    signal.listen(lambda: calls.append("late"))
    assert calls == ["late"]


def test_a_listener_added_during_the_request_is_never_missed() -> None:
    for _ in range(200):
        signal, calls = Cancellation(), []
        both = threading.Barrier(2)

        def request(signal: Cancellation = signal, both: threading.Barrier = both) -> None:
            both.wait(5)
            signal.request()

        thread = threading.Thread(target=request)
        thread.start()
        both.wait(5)
        signal.listen(lambda calls=calls: calls.append("called"))
        thread.join()
        assert calls == ["called"]
