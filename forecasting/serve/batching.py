"""Concurrent requests share one call of the engine: what waits while a call runs goes into the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np

from forecasting.series.windows import Batch

__all__ = ["Batcher", "BusyError"]


class BusyError(Exception):
    """As many requests wait as may wait."""


class _Item(NamedTuple):
    batch: Batch
    windows: int
    answer: asyncio.Future[np.ndarray]


class Batcher:
    """A bounded queue in front of `predict`, which maps a batch of B windows to an array (B, …).

    While a call runs, whatever arrives waits and goes together into the next one, `most` windows at a time; with
    `wait` seconds an idle engine waits as long for company. `calls` of them run at once: with more than one, requests
    share fewer. Who is cancelled leaves the queue. `seen` is told the number of requests and windows of each call.
    """

    def __init__(
        self,
        predict: Callable[[Batch], np.ndarray],
        executor: Executor,
        *,
        most: int,
        wait: float = 0.0,
        capacity: int,
        calls: int = 1,
        seen: Callable[[int, int], None] | None = None,
    ) -> None:
        self._predict = predict
        self._executor = executor
        self._most = most
        self._wait = wait
        self._capacity = capacity
        self._seen = seen
        self._items: deque[_Item] = deque()
        self._calls = calls
        self._workers: list[asyncio.Task[None]] = []

    @property
    def waiting(self) -> int:
        """Requests in the queue that still want an answer."""
        return sum(not item.answer.done() for item in self._items)

    @property
    def full(self) -> bool:
        """Whether one more request would be refused."""
        return len(self._items) >= self._capacity and self.waiting >= self._capacity

    async def run(self, batch: Batch) -> np.ndarray:
        """The predictions of a batch; raises BusyError where the queue is full, and whatever `predict` raises."""
        if self.full:
            raise BusyError
        answer: asyncio.Future[np.ndarray] = asyncio.get_running_loop().create_future()
        self._items.append(_Item(batch, len(next(iter(batch.values()))), answer))
        if len(self._at_work()) < self._calls:
            self._workers = [*self._at_work(), asyncio.create_task(self._work())]
        return await answer

    async def drained(self) -> None:
        """Return when nothing waits or runs any more."""
        while workers := self._at_work():
            await asyncio.wait(workers)

    def _at_work(self) -> list[asyncio.Task[None]]:
        return [worker for worker in self._workers if not worker.done()]

    async def _work(self) -> None:
        if self._wait and len(self._items) == 1:
            await asyncio.sleep(self._wait)
        while items := self._next():
            if self._seen is not None:
                self._seen(len(items), sum(item.windows for item in items))
            await self._answer(items)

    def _next(self) -> list[_Item]:
        """The requests of the next call: in order, at least one, `most` windows at most, of one kind of input."""
        chosen: list[_Item] = []
        windows = 0
        while self._items:
            item = self._items[0]
            if item.answer.done():
                self._items.popleft()
                continue
            if chosen and (windows + item.windows > self._most or item.batch.keys() != chosen[0].batch.keys()):
                break
            chosen.append(self._items.popleft())
            windows += item.windows
        return chosen

    async def _answer(self, items: list[_Item]) -> None:
        """One call for all; where that fails, one for each, so that a bad request spoils only its own answer."""
        try:
            merged = {name: np.concatenate([item.batch[name] for item in items]) for name in items[0].batch}
            found = await asyncio.get_running_loop().run_in_executor(self._executor, self._predict, merged)
            parts = np.split(found, np.cumsum([item.windows for item in items])[:-1])
        except Exception as error:  # noqa: BLE001 - it belongs to those who wait for the answer, not to this task
            if len(items) > 1:
                for item in items:
                    await self._answer([item])
            elif not items[0].answer.done():
                items[0].answer.set_exception(error)
            return
        for item, part in zip(items, parts, strict=True):
            if not item.answer.done():
                item.answer.set_result(part)
