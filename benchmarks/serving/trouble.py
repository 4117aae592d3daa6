"""The service while its model changes, its registry is away, too many ask, it is told to end, or clients misbehave."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from collections.abc import Coroutine
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.harness.served_model import NAME
from benchmarks.harness.servers import Server, gatecast, mlflow
from benchmarks.serving import clients
from benchmarks.serving.load import load, start
from benchmarks.serving.plan import CLIENTS, Figures, Plan, failed, settle

__all__ = ["flips", "outage", "overload", "sigterm", "slow"]

Found = TypeVar("Found")


def flips(plan: Plan) -> Figures:
    """The champion moves 50 times at 100 requests a second; then the time that a rollback takes to be live."""
    moves, seconds = 50, plan.seconds(100)
    with gatecast(plan.home, poll_seconds="0.5") as server:
        running = start(server, plan.body, seconds=seconds, rate=100, clients=16, answers="")
        for move in range(moves):
            time.sleep(seconds / (moves + 2))
            plan.registry.aliases.promote(NAME, 2 - move % 2)
        run = json.loads(running.communicate()[0])
    with gatecast(plan.home) as server:
        version = server.json("/readyz")["models"][NAME]
        begin = time.perf_counter()
        plan.registry.aliases.rollback(NAME)
        while server.json("/readyz")["models"][NAME] == version:
            time.sleep(0.05)
        rollback = time.perf_counter() - begin
    answers = {checksum for _, status, checksum in run["answers"] if status == 200}
    return {
        "flips": moves,
        "flips_requests": run["requests"],
        "flips_failed": failed(run),
        "flips_different_answers": len(answers),  # one of each version, to the last bit
        "flips_p99_ms": run["p99_ms"],
        "rollback_s": round(rollback, 2),
    }


def outage(plan: Plan) -> Figures:
    """MLflow's server is stopped for two minutes, and comes back."""
    with _tracking(plan.home) as tracking, gatecast(plan.home, GATECAST_TRACKING_URI=tracking.url) as server:
        settle(server, plan)
        before = load(server, plan.body, seconds=plan.seconds(10), rate=100, clients=16)
        tracking.kill()
        during = load(server, plan.body, seconds=plan.seconds(120), rate=100, clients=16)
        noticed = "gatecast_registry_up 0.0" in server.text("/metrics")
    return {
        "outage_requests": during["requests"],
        "outage_failed": failed(during),
        "outage_noticed": noticed,
        "outage_p99_ms": during["p99_ms"],
        "outage_p99_before_ms": before["p99_ms"],
    }


def _tracking(home: Path) -> AbstractContextManager[Server]:
    """MLflow's server on the database of the home, whose models know where their files lie."""
    return mlflow(home, f"sqlite:///{home / 'mlflow.db'}", f"--default-artifact-root={home / 'artifacts'}")


def overload(plan: Plan) -> Figures:
    """Ten times as many clients as it serves well, for 30 seconds; then how soon latency is normal again."""
    with gatecast(plan.home) as server:
        settle(server, plan)
        normal = load(server, plan.body, seconds=plan.seconds(5))
        load(server, plan.body, seconds=plan.seconds(5), clients=10 * CLIENTS)  # each connection takes its memory once
        memory = server.resident_mb
        run = load(server, plan.body, seconds=plan.seconds(30), clients=10 * CLIENTS)
        begin, recovery = time.perf_counter(), float("inf")
        while time.perf_counter() - begin < 20:
            if load(server, plan.body, seconds=0.5)["p50_ms"] <= 2 * normal["p50_ms"]:
                recovery = time.perf_counter() - begin
                break
        return {
            "overload_per_second": run["per_second"],
            "overload_statuses": run["statuses"],
            "overload_recovery_s": round(recovery, 1),
            "overload_memory_mb": round(server.resident_mb - memory, 1),
        }


def sigterm(plan: Plan) -> Figures:
    """The signal comes while 64 requests wait to be answered."""
    with gatecast(plan.home, batch_wait_ms="1000") as server:
        threading.Timer(0.6, lambda: server.process.send_signal(signal.SIGTERM)).start()
        statuses = asyncio.run(clients.at_once(server.port, plan.body.read_bytes(), CLIENTS))
        begin = time.perf_counter()
        code = server.process.wait(60)
    return {
        "sigterm_requests": CLIENTS,
        "sigterm_answered": statuses.count(200),
        "sigterm_exit": code,
        "sigterm_s": round(time.perf_counter() - begin, 1),
    }


def slow(plan: Plan) -> Figures:
    """Others are served beside 200 slow and half-open clients, and beside 1,000 that hang up or that stay."""
    body = plan.body.read_bytes()
    with gatecast(plan.home, body_seconds="5") as server:
        settle(server, plan)
        before, memory, files = load(server, plan.body, seconds=20, rate=50), server.resident_mb, server.descriptors
        held, slowly = _beside(server, plan, clients.slow(server.port, body, 200))
        _, gone = _beside(server, plan, clients.bursts(server.port, body, 1000, gone=True))
        _, answered = _beside(server, plan, clients.bursts(server.port, body, 1000, gone=False))
        time.sleep(1)
        return {
            "slow_clients": 200,
            "slow_closed": held,
            "slow_failed_others": sum(failed(run) for run in (slowly, gone, answered)),
            "slow_p99_before_ms": before["p99_ms"],
            "slow_p99_ms": slowly["p99_ms"],
            "gone_p99_ms": gone["p99_ms"],
            "gone_p99_if_answered_ms": answered["p99_ms"],  # what as many clients cost that stay
            "slow_descriptors": server.descriptors - files,
            "slow_memory_mb": round(server.resident_mb - memory, 1),
        }


def _beside(server: Server, plan: Plan, trouble: Coroutine[Any, Any, Found]) -> tuple[Found, dict[str, Any]]:
    """What came of the trouble, and the load of others meanwhile."""
    running = start(server, plan.body, seconds=20, rate=50, clients=16)
    found = asyncio.run(trouble)
    return found, json.loads(running.communicate()[0])
