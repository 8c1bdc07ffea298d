"""Batches the requests of many callers: whenever the model is free, a thread takes the requests that wait.

A lone request runs at once. Requests that arrive while it runs share the next batch. No request waits for others to
arrive.
"""

import asyncio
import threading
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from models.errors import EngineError, in_words

Item = TypeVar("Item")
Result = TypeVar("Result")

_MOST_PADDING = 0.25
_FAILURES_TO_GIVE_UP = 3


class Batcher(Generic[Item, Result]):
    """`run(items)` returns a result for each item. `size(item)` is its length; shorter items of a batch are padded.

    A batch has at most `most_items` items of similar length, so that at most a quarter is padding, and a total size of
    at most `budget`, padding included. A larger item runs alone. Calls take turns, so that a small call waits for one
    batch of a large call, not for all of them. `workers`: how many batches run at once, each in its own thread.
    """

    def __init__(
        self,
        run: Callable[[list[Item]], Sequence[Result]],
        size: Callable[[Item], int],
        budget: int,
        most_items: int,
        workers: int = 1,
    ) -> None:
        self._run, self._size, self._budget, self._most_items = run, size, budget, most_items
        self._waiting: deque[_Call[Item, Result]] = deque()
        self._changed = threading.Condition()
        self._failures = 0
        for _ in range(workers):
            threading.Thread(target=self._work, name="batcher", daemon=True).start()

    async def submit(self, items: Sequence[Item]) -> list[Result]:
        """The results of `items`, in their order. If it is cancelled, it drops the items that have not begun.

        Raises:
            EngineError: `run` failed.
        """
        if not items:
            return []
        call: _Call[Item, Result] = _Call(items, [self._size(item) for item in items])
        with self._changed:
            self._waiting.append(call)
            self._changed.notify()
        await call.done
        return [call.results[position] for position in range(len(items))]

    def is_healthy(self) -> bool:
        """False when several batches in a row have failed."""
        return self._failures < _FAILURES_TO_GIVE_UP

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (batch := self._next()):
                    self._changed.wait()
                self._changed.notify()  # another worker may take the remaining items
            try:
                results = self._run([call.items[position] for call, position in batch])
            except Exception as error:
                self._failures += 1
                self._fail(batch, error)
            else:
                self._failures = 0
                self._deliver(batch, results)

    def _next(self) -> "list[tuple[_Call[Item, Result], int]]":
        """The longest item of the call whose turn it is, then the items of any call that fit with it, longest first."""
        self._waiting = deque(call for call in self._waiting if call.left and not call.done.cancelled())
        if not self._waiting:
            return []
        first = self._waiting[0]
        self._waiting.rotate(-1)
        own = first.sizes[first.left[-1]]
        batch, filled = [(first, first.left.pop())], own
        limit = max(own, min(int(own / (1 - _MOST_PADDING)), self._budget // 2))
        offered = [(call, position) for call in self._waiting for position in call.longest(limit, self._most_items)]
        offered.sort(key=lambda one: one[0].sizes[one[1]], reverse=True)
        longest = max([own, *(call.sizes[position] for call, position in offered[:1])])
        room = max(1, min(self._most_items, self._budget // longest))
        for call, position in offered[: room - 1]:
            filled += call.sizes[position]
            if filled < (1 - _MOST_PADDING) * longest * (len(batch) + 1):
                break
            batch.append((call, position))
        for call, count in Counter(call for call, _ in batch[1:]).items():
            call.drop(limit, count)
        return batch

    def _deliver(self, batch: "list[tuple[_Call[Item, Result], int]]", results: Sequence[Result]) -> None:
        for (call, position), result in zip(batch, results, strict=True):
            call.results[position] = result
        for call in {call for call, _ in batch}:
            if len(call.results) == len(call.items):
                call.end()  # two workers may both call it, which does no harm

    def _fail(self, batch: "list[tuple[_Call[Item, Result], int]]", error: Exception) -> None:
        for call in {call for call, _ in batch}:
            call.left.clear()
            call.end(EngineError(f"the model failed while it ran: {in_words(error)}"))


class _Call(Generic[Item, Result]):
    """The items of one caller. `left`: the positions of the items that still wait, the shortest item first."""

    def __init__(self, items: Sequence[Item], sizes: Sequence[int]) -> None:
        self.items, self.sizes = items, sizes
        self.left = sorted(range(len(items)), key=sizes.__getitem__)
        self.results: dict[int, Result] = {}
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()

    def longest(self, limit: int, count: int) -> list[int]:
        """The positions of up to `count` waiting items that are no longer than `limit`, the longest first."""
        end = self._end(limit)
        return self.left[max(0, end - count) : end][::-1]

    def drop(self, limit: int, count: int) -> None:
        """Remove the first `count` positions of `longest`, which are now in a batch."""
        end = self._end(limit)
        del self.left[end - count : end]

    def end(self, error: Exception | None = None) -> None:
        """Wake the caller, from the thread that ran the batch."""
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._settle, error)

    def _settle(self, error: Exception | None) -> None:
        if self.done.done():  # cancelled meanwhile
            return
        if error:
            self.done.set_exception(error)
        else:
            self.done.set_result(None)

    def _end(self, limit: int) -> int:
        return bisect_right(self.left, limit, key=self.sizes.__getitem__)
