"""Work of large requests off the event loop, so that small ones are answered meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from forecasting.serve.errors import busy

__all__ = ["Offload"]

_THREADS: Final = 2  # they share one lock of the interpreter: more would only hold more memory

Result = TypeVar("Result")


class Offload:
    """A few threads, and at most `capacity` pieces of work that wait for one, first come first served."""

    def __init__(self, capacity: int) -> None:
        self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="offload")
        self._room = threading.BoundedSemaphore(capacity + _THREADS)

    async def run(self, work: Callable[[], Result], *, large: bool) -> Result:
        """What `work` returns or raises, at once unless it is large: handing it over would take longer than doing it.

        Raises ServiceError 429 where too much large work waits already. Cancelled work never
        starts.
        """
        if not large:
            return work()
        if not self._room.acquire(blocking=False):
            raise busy()
        future = self._threads.submit(work)
        future.add_done_callback(lambda _: self._room.release())
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
