"""Thousands of strange requests to every route of the service: no fault of the server, no NaN, one shape of error.

    python -m benchmarks.hostile --cases 5000 --json hostile.json

Half of them are forecast requests that are almost right, with what people and programs get wrong put in the place of
anything (hypothesis); half fit the OpenAPI document, or do not (schemathesis). They go to the app in this process.
Then a service of its own is sent requests that are made to cost much, while somebody asks it honestly.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
from fastapi import FastAPI

from benchmarks.harness.command_line import parser, publish
from benchmarks.harness.homes import settings_of
from benchmarks.harness.processes import until
from benchmarks.harness.served_model import NAME, make
from benchmarks.hostile.attacks import besiege
from benchmarks.hostile.checks import check, each
from benchmarks.hostile.requests import ROUTES, bodies
from benchmarks.hostile.schema import operations
from forecasting.config.settings import ServeSettings
from forecasting.serve.app import create_app
from forecasting.serve.keys import new_key


def main() -> None:
    """Send them all to a model of its own and print how many of each status came back."""
    command = parser("hostile", __doc__)
    command.add_argument("--cases", type=int, default=5000)
    command.add_argument("--attacks", type=int, default=100)
    command.add_argument("--home", type=Path, help=f"of a served model named {NAME}; default: one is made")
    options = command.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = options.home or make(Path(scratch) / "home")
        found = _run(home, options.cases)
        found |= besiege(home, options.attacks)
    publish(found, options.json)
    sys.exit(0 if found["hostile_cases"] >= options.cases else 1)


def _run(home: Path, cases: int) -> dict[str, Any]:
    made = new_key("admin", ["admin"])
    app = create_app(settings_of(home), ServeSettings(keys=orjson.dumps([made.entry.model_dump(mode="json")]).decode()))
    statuses: dict[int, int] = {}
    with asyncio.Runner() as runner:
        lifespan = app.router.lifespan_context(app)
        runner.run(lifespan.__aenter__())
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        key = {"X-API-Key": made.secret}
        web = httpx.AsyncClient(transport=transport, base_url="http://gatecast", headers=key)

        def send(method: str, path: str, **request: Any) -> None:
            response = runner.run(web.request(method, path, **request))
            check(response, path)
            statuses[response.status_code] = statuses.get(response.status_code, 0) + 1

        until(lambda: runner.run(web.get("/readyz")).status_code == 200)  # a start may leave the first look to later
        _described(app, send, cases // 2)
        while sum(statuses.values()) < cases:  # routes without a parameter have but few different requests
            _forecasts(send, cases - sum(statuses.values()))
        runner.run(lifespan.__aexit__(None, None, None))
    return {"hostile_cases": sum(statuses.values()), "statuses": {str(key): statuses[key] for key in sorted(statuses)}}


def _described(app: FastAPI, send: Callable[..., None], cases: int) -> None:
    every = list(operations(app, NAME))
    for method, requests in every:
        each(requests, -(-cases // len(every)), lambda request, method=method: send(method, **request))


def _forecasts(send: Callable[..., None], cases: int) -> None:
    for route in ROUTES:
        path = route.format(name=NAME)
        each(bodies(path), -(-cases // len(ROUTES)), partial(_post, send, path))


def _post(send: Callable[..., None], path: str, body: tuple[bytes, dict[str, str]]) -> None:
    send("POST", path, content=body[0], headers=body[1])


if __name__ == "__main__":
    main()
