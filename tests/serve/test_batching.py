"""Requests that share a call of the engine: each gets its own answer, few calls, no more waiting than allowed."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from forecasting.serve.batching import Batcher, BusyError


class Engine:
    """Doubles what it is given, while the gate is open; notes the windows of each call."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, batch: dict[str, np.ndarray]) -> np.ndarray:
        self.calls.append(len(batch["past"]))
        assert self.gate.wait(30)
        if (batch["past"] < 0).any():
            raise ValueError("negative")
        return 2 * batch["past"]


@pytest.fixture
def engine() -> Engine:
    """An open one."""
    return Engine()


@pytest.fixture
def make(engine: Engine) -> Iterator[Callable[..., Batcher]]:
    """Builds batchers in front of the engine."""
    with ThreadPoolExecutor(2) as executor:
        yield lambda **given: Batcher(engine, executor, **{"most": 100, "capacity": 100, **given})
        engine.gate.set()


def batch(value: float, windows: int = 1) -> dict[str, np.ndarray]:
    """Windows of one value."""
    return {"past": np.full((windows, 2), value)}


async def queued(batcher: Batcher, engine: Engine, *batches: dict[str, np.ndarray]) -> list[asyncio.Task[Any]]:
    """One call under way behind the closed gate, and these requests in the queue after it."""
    engine.gate.clear()
    first = asyncio.create_task(batcher.run(batch(0.0)))
    while not engine.calls:
        await asyncio.sleep(0.001)
    tasks = [asyncio.create_task(batcher.run(one)) for one in batches]
    await asyncio.sleep(0)
    return [first, *tasks]


def test_what_waits_shares_one_call(engine: Engine, make: Callable[..., Batcher]) -> None:
    """Each request gets its own rows back, whatever its number of windows."""

    async def run() -> None:
        tasks = await queued(make(), engine, *(batch(value, int(value)) for value in (1, 2, 3)))
        engine.gate.set()
        answers = await asyncio.gather(*tasks)
        assert engine.calls == [1, 6]
        for value, answer in enumerate(answers):
            np.testing.assert_array_equal(answer, np.full((max(value, 1), 2), 2.0 * value))

    asyncio.run(run())


def test_a_call_has_no_more_windows_than_allowed(engine: Engine, make: Callable[..., Batcher]) -> None:
    """In the order of arrival; a request that is larger than that goes alone."""

    async def run() -> None:
        tasks = await queued(make(most=4), engine, batch(1, 3), batch(1, 1), batch(1, 9), batch(1, 2))
        engine.gate.set()
        await asyncio.gather(*tasks)
        assert engine.calls == [1, 4, 9, 2]

    asyncio.run(run())


def test_an_idle_engine_waits_for_company_as_long_as_told(engine: Engine, make: Callable[..., Batcher]) -> None:
    """What comes within that time goes along; without it the first request goes alone."""

    async def run(wait: float) -> list[int]:
        engine.calls.clear()
        batcher = make(wait=wait)
        first = asyncio.create_task(batcher.run(batch(1)))
        await asyncio.sleep(0.01)
        await asyncio.gather(first, batcher.run(batch(2)))
        return engine.calls

    assert asyncio.run(run(0.5)) == [2]
    assert asyncio.run(run(0.0)) == [1, 1]


def test_inputs_of_another_kind_do_not_share(engine: Engine, make: Callable[..., Batcher]) -> None:
    """Batches with other arrays are another call."""

    async def run() -> None:
        richer = {**batch(1), "future": np.zeros((1, 1))}
        tasks = await queued(make(), engine, batch(1), richer, batch(1))
        engine.gate.set()
        await asyncio.gather(*tasks)
        assert engine.calls == [1, 1, 1, 1]

    asyncio.run(run())


def test_a_full_queue_refuses_at_once(engine: Engine, make: Callable[..., Batcher]) -> None:
    """And takes requests again when there is room."""

    async def run() -> None:
        batcher = make(capacity=2)
        tasks = await queued(batcher, engine, batch(1), batch(2))
        with pytest.raises(BusyError):
            await batcher.run(batch(3))
        engine.gate.set()
        await asyncio.gather(*tasks)
        assert (await batcher.run(batch(4)))[0, 0] == 8

    asyncio.run(run())


def test_who_is_cancelled_leaves_the_queue(engine: Engine, make: Callable[..., Batcher]) -> None:
    """It is not computed, makes room, and the others get theirs."""

    async def run() -> None:
        batcher = make(capacity=2)
        first, gone, stays = await queued(batcher, engine, batch(1, 50), batch(2))
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        assert batcher.waiting == 1
        late = asyncio.create_task(batcher.run(batch(3)))
        await asyncio.sleep(0)
        engine.gate.set()
        assert [(await task)[0, 0] for task in (first, stays, late)] == [0, 4, 6]
        assert engine.calls == [1, 2]

    asyncio.run(run())


def test_a_bad_request_spoils_only_its_own_answer(engine: Engine, make: Callable[..., Batcher]) -> None:
    """Those that shared its call are answered; so are inputs that cannot even be put together."""

    async def run() -> None:
        batcher = make()
        tasks = await queued(batcher, engine, batch(1), batch(-1), {"past": np.ones((1, 5))}, batch(2))
        engine.gate.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(answers[2], ValueError)
        assert [answers[i][0, 0] for i in (1, 3, 4)] == [2, 2, 4]
        assert (await batcher.run(batch(5)))[0, 0] == 10

    asyncio.run(run())


def test_drained_means_that_all_are_answered(engine: Engine, make: Callable[..., Batcher]) -> None:
    """Whatever waited when the draining began."""

    async def run() -> None:
        batcher = make(most=1)
        tasks = await queued(batcher, engine, batch(1), batch(2))
        engine.gate.set()
        await batcher.drained()
        assert all(task.done() for task in tasks) or not batcher.waiting
        assert len(await asyncio.gather(*tasks)) == 3

    asyncio.run(run())


def test_several_calls_may_run_at_once(engine: Engine, make: Callable[..., Batcher]) -> None:
    """As many as allowed, each with its own request; the others wait, and all are answered, also after a rest."""

    async def run() -> None:
        batcher = make(most=1, calls=2)
        engine.gate.clear()
        tasks = [asyncio.create_task(batcher.run(batch(value))) for value in (1.0, 2.0, 3.0)]
        while len(engine.calls) < 2:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        assert (engine.calls, batcher.waiting) == ([1, 1], 1)
        engine.gate.set()
        assert [answer[0, 0] for answer in await asyncio.gather(*tasks)] == [2, 4, 6]
        await batcher.drained()
        assert (await batcher.run(batch(4.0)))[0, 0] == 8

    asyncio.run(run())
