"""Large requests beside small ones: they wait for each other, small ones for nobody."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import pytest

from forecasting.serve.errors import ServiceError
from forecasting.serve.offload import Offload


@contextmanager
def occupied(aside: Offload) -> Iterator[asyncio.Future[list[bool]]]:
    """All threads do other work until the block ends."""
    gate = threading.Event()
    try:
        yield asyncio.gather(*(aside.run(gate.wait, large=True) for _ in range(2)))
    finally:
        gate.set()


@pytest.mark.parametrize("path", ["/v1/forecast", "/invocations/buoy", "/v2/models/buoy/infer", "/upload?model=buoy"])
def test_small_requests_are_answered_while_a_large_one_waits(
    client: Any, history: Callable[..., pd.DataFrame], columns: Callable[..., dict[str, list[Any]]], path: str
) -> None:
    """The large one stands in line behind others and is answered in the end, with the numbers of its last hours."""
    whole = history("a", rows=4000)
    content, kind = body(path, columns(whole))

    async def run() -> tuple[list[int], bool, Any, Any]:
        small = {"name": "buoy", "columns": columns(whole.tail(8))}
        with occupied(client.app.state.gatecast.catalog.offload):
            large = asyncio.create_task(client.web.post(path, content=content, headers={"content-type": kind}))
            statuses = [(await client.web.post("/v1/forecast", json=small)).status_code for _ in range(20)]
            waited = not large.done()
        return statuses, waited, await large, await client.web.post("/v1/forecast", json=small)

    statuses, waited, large, small = client.runner.run(run())
    assert statuses == [200] * 20
    assert waited
    assert large.status_code == 200, large.text
    if path == "/v1/forecast":
        assert large.json() == small.json()


def test_a_large_body_is_read_beside_the_others(client: Any) -> None:
    """What is no JSON is told only when its turn has come."""

    async def run() -> tuple[list[int], bool, int]:
        with occupied(client.app.state.gatecast.catalog.offload):
            headers = {"content-type": "application/json"}
            large = asyncio.create_task(
                client.web.post("/v1/forecast", content=b"[" * 9 + b"1" * 99_999, headers=headers)
            )
            small = [
                (await client.web.post("/v1/forecast", content=b"[", headers=headers)).status_code for _ in range(5)
            ]
            waited = not large.done()
        return small, waited, (await large).status_code

    assert client.runner.run(run()) == ([400] * 5, True, 400)


def body(path: str, table: dict[str, list[Any]]) -> tuple[bytes, str]:
    """A table as one of the protocols has it, and its type."""
    if path.startswith("/upload"):
        rows = zip(*table.values(), strict=True)
        return "\n".join([",".join(table), *(",".join(map(str, row)) for row in rows)]).encode(), "text/csv"
    shape = [len(table["y"])]
    kinds = {"unique_id": "BYTES", "ds": "BYTES", "y": "FP64"}
    tensors = [{"name": name, "datatype": kinds[name], "shape": shape, "data": table[name]} for name in table]
    contents: dict[str, dict[str, Any]] = {"/v1": {"name": "buoy", "columns": table}, "/v2": {"inputs": tensors}}
    return json.dumps(contents.get(path[:3], {"inputs": table})).encode(), "application/json"


def test_who_hangs_up_is_not_worked_for() -> None:
    """Work that was cancelled before a thread had time for it never begins; what stands behind it does."""
    begun: list[str] = []

    async def run() -> None:
        aside = Offload(10)
        with occupied(aside):
            gone = asyncio.create_task(aside.run(lambda: begun.append("gone"), large=True))
            stays = asyncio.create_task(aside.run(lambda: begun.append("stays"), large=True))
            await asyncio.sleep(0)
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
        await stays
        aside.close()

    asyncio.run(run())
    assert begun == ["stays"]


def test_too_much_is_refused_and_room_comes_back() -> None:
    """Beyond the threads so many wait as may; the next is told to come back, and is welcome when it does."""

    async def run() -> None:
        aside = Offload(1)
        with occupied(aside) as others:
            await asyncio.sleep(0)
            waits = asyncio.create_task(aside.run(lambda: 1, large=True))
            await asyncio.sleep(0)
            with pytest.raises(ServiceError) as refused:
                await aside.run(lambda: 2, large=True)
            assert await aside.run(lambda: 3, large=False) == 3
        assert (refused.value.status, refused.value.code) == (429, "overloaded")
        assert await waits == 1
        await others
        assert await asyncio.gather(*(aside.run(lambda: 4, large=True) for _ in range(3))) == [4, 4, 4]
        aside.close()

    asyncio.run(run())
