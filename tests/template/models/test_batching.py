"""The shared batcher: what runs together and in which order, and calls that fail or are cancelled."""

import asyncio
import threading
from collections.abc import Callable
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.batching import Batcher
from models.errors import EngineError


class Model:
    """Doubles its items. `batches`: the batches that it ran; the first one runs until `gate` is opened."""

    def __init__(self, budget: int = 1000, most_items: int = 16) -> None:
        self.batches: list[list[int]] = []
        self.began, self.gate = threading.Event(), threading.Event()
        self.gate.set()
        self.batcher: Batcher[int, int] = Batcher(self.run, lambda item: item, budget, most_items)

    def run(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        self.began.set()
        assert self.gate.wait(10)
        return [2 * item for item in items]

    async def behind_a_batch(self, *calls: list[int]) -> list[list[int]]:
        """The results of calls that arrive while another batch, the first of `batches`, runs."""
        self.gate.clear()
        first = asyncio.create_task(self.batcher.submit([1]))
        await asyncio.to_thread(self.began.wait, 10)
        tasks = [asyncio.create_task(self.batcher.submit(call)) for call in calls]
        await asyncio.sleep(0)
        self.gate.set()
        await first
        return await asyncio.gather(*tasks)


def test_a_lone_call_runs_at_once_and_alone() -> None:
    model = Model()
    assert asyncio.run(model.batcher.submit([3])) == [6]
    assert model.batches == [[3]]


def test_calls_that_arrive_while_a_batch_runs_share_the_next() -> None:
    model = Model()
    assert asyncio.run(model.behind_a_batch([10], [11], [12, 10])) == [[20], [22], [24, 20]]
    assert sorted(model.batches[1]) == [10, 10, 11, 12]
    assert len(model.batches) == 2


def test_items_of_similar_length_run_together() -> None:
    model = Model()
    asyncio.run(model.behind_a_batch([100, 4, 90, 4, 5, 95]))
    assert [sorted(batch) for batch in model.batches[1:]] == [[90, 95, 100], [4, 4, 5]]


def test_a_small_call_does_not_wait_for_all_of_a_large_one() -> None:
    model = Model(most_items=4)
    asyncio.run(model.behind_a_batch([50] * 40, [5]))
    assert [5] in model.batches[1:4]


def test_two_workers_share_one_call() -> None:
    both = threading.Barrier(2)

    def run(items: list[int]) -> list[int]:
        both.wait(10)
        return items

    assert asyncio.run(Batcher(run, lambda item: item, 100, 1, workers=2).submit([3, 4])) == [3, 4]


def test_an_item_above_the_budget_runs_alone() -> None:
    model = Model(budget=100)
    assert asyncio.run(model.behind_a_batch([300, 40, 40, 40])) == [[600, 80, 80, 80]]
    assert model.batches[1:] == [[300], [40, 40], [40]]


def test_an_empty_call_runs_nothing() -> None:
    model = Model()
    assert asyncio.run(model.batcher.submit([])) == []
    assert model.batches == []


def test_a_cancelled_call_is_dropped_and_the_others_continue() -> None:
    model = Model()

    async def scene() -> list[int]:
        model.gate.clear()
        first = asyncio.create_task(model.batcher.submit([1]))
        await asyncio.to_thread(model.began.wait, 10)
        gone, stays = asyncio.create_task(model.batcher.submit([7])), asyncio.create_task(model.batcher.submit([8]))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        model.gate.set()
        await first
        return await stays

    assert asyncio.run(scene()) == [16]
    assert model.batches == [[1], [8]]


def test_a_failing_model_fails_its_calls_and_is_unhealthy_after_three() -> None:
    fails = threading.Event()

    def run(items: list[int]) -> list[int]:
        if fails.is_set():
            raise RuntimeError("out of memory")
        return items

    async def ask(batcher: Batcher[int, int]) -> None:
        for healthy in (True, True, False):
            with pytest.raises(EngineError, match="RuntimeError: out of memory"):
                await batcher.submit([1])
            assert batcher.is_healthy() == healthy
        fails.clear()
        assert await batcher.submit([1]) == [1]
        assert batcher.is_healthy()

    fails.set()
    asyncio.run(ask(Batcher(run, lambda item: item, 100, 16)))


@given(st.lists(st.lists(st.integers(1, 300), min_size=1, max_size=40), min_size=1, max_size=8), st.integers(1, 600))
@settings(max_examples=40, deadline=None)
def test_every_item_runs_once_within_the_bounds_of_a_batch(calls: list[list[int]], budget: int) -> None:
    model = Model(budget, most_items=8)
    assert asyncio.run(model.behind_a_batch(*calls)) == [[2 * item for item in call] for call in calls]
    padded: Callable[[list[int]], int] = lambda batch: max(batch) * len(batch)  # noqa: E731
    assert sorted(chain(*model.batches[1:])) == sorted(chain(*calls))
    for batch in model.batches[1:]:
        assert len(batch) == 1 or (padded(batch) <= budget and len(batch) <= 8)
        assert sum(batch) >= 0.75 * padded(batch)
