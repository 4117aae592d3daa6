"""Readings that are sent while others ask for forecasts, and to a service that is killed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import numpy as np
import yaml

from benchmarks.harness.served_model import NAME, job
from benchmarks.harness.servers import Server, gatecast
from benchmarks.serving.load import bodies_of, load, start
from benchmarks.serving.plan import Figures, Plan, failed
from forecasting.serve.keys import new_key
from forecasting.storage.store import Store

__all__ = ["kills", "readings"]

_ROWS, _RATE = 100, 20  # readings of a request, requests a second
_KILLS: Final = 10
_PATH: Final = "/v1/readings"


def readings(plan: Plan) -> Figures:
    """2,000 readings and 100 forecasts a second for a minute; then until all of the readings are in the store."""
    seconds = plan.seconds(60)
    with _taking(plan) as (server, key):
        body = _body(plan)
        load(server, plan.body, seconds=plan.seconds(5), clients=16, key=key)
        beside = start(server, plan.body, seconds=seconds, rate=100, clients=16, key=key)
        cpu = server.cpu_seconds
        sent = load(server, body, seconds=seconds, rate=_RATE, clients=16, key=key, path=_PATH, rows=_ROWS)
        asked = json.loads(beside.communicate()[0])
        cores = (server.cpu_seconds - cpu) / seconds
        begin, rows = time.perf_counter(), sent["statuses"].get("202", 0) * _ROWS
        while _stored(plan) < rows and time.perf_counter() - begin < 60:
            time.sleep(0.2)
        lag = time.perf_counter() - begin
    return {
        "readings_per_second": round(rows / seconds),
        "readings_refused": sent["requests"] - sent["statuses"].get("202", 0),
        "readings_p50_ms": sent["p50_ms"],
        "readings_p99_ms": sent["p99_ms"],
        "readings_forecasts": asked["requests"],
        "readings_forecasts_failed": failed(asked),
        "readings_forecasts_p50_ms": asked["p50_ms"],
        "readings_forecasts_p99_ms": asked["p99_ms"],
        "readings_cores": round(cores, 2),
        "readings_missing": max(0, rows - _stored(plan)),
        "readings_lag_s": round(lag, 1),
    }


def kills(plan: Plan) -> Figures:
    """SIGKILL at ten moments while readings are sent and merged five times a second; counts the lost answered ones."""
    draw, answered, number = np.random.default_rng(1), list[int](), 0
    before = _stored(plan)
    for _ in range(_KILLS):
        with _taking(plan, merge_seconds="0.2") as (server, key):
            threading.Timer(float(draw.uniform(0.2, 4)), server.kill).start()
            answered += _answered(server, key, number)
        number = answered[-1] + 2 if answered else number + 1  # the one under way is not sent again
    with _taking(plan, merge_seconds="0.2") as (server, _):
        time.sleep(2)
    table = Store(plan.home).observations.read(NAME)
    kept = set(table.loc[table["unique_id"] == "killed", "y"].astype(int))
    return {
        "kills": _KILLS,
        "kills_answered": len(answered),
        "kills_lost": len(set(answered) - kept),
        "kills_twice": int(table.duplicated(["unique_id", "ds"]).sum()),
        "kills_rows_before": before,
    }


def _answered(server: Server, key: str, number: int) -> list[int]:
    """The readings that a service has answered until it was killed, one request after the other."""
    found = []
    headers = {"X-API-Key": key, "Content-Type": "application/json"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=30) as client:
        for each, body in enumerate(bodies_of({"name": NAME}, 1, number), number):
            try:
                answer = client.post(_PATH, content=body.replace(b"s0000", b"killed"))
            except httpx.TransportError:
                return found
            if answer.status_code == 202:
                found.append(each)
    return found


@contextmanager
def _taking(plan: Plan, **settings: str) -> Iterator[tuple[Server, str]]:
    """A service that takes the readings of its model, and a key of all rights."""
    config = plan.home.parent / "job.yaml"
    config.write_text(yaml.safe_dump(job().model_dump(mode="json", exclude_unset=True)), encoding="utf-8")
    made = new_key("bench", ["admin"])
    keys = json.dumps([made.entry.model_dump(mode="json")])
    with gatecast(plan.home, ingest=json.dumps([str(config)]), keys=keys, **settings) as server:
        yield server, made.secret


def _body(plan: Plan) -> Path:
    path = plan.body.with_name("readings.json")
    path.write_text(json.dumps({"name": NAME}), encoding="utf-8")
    return path


def _stored(plan: Plan) -> int:
    """The rows in the store."""
    stored = Store(plan.home).observations
    return 0 if stored.version(NAME) is None else len(stored.read(NAME, columns=[]))
