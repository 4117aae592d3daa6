"""What sharing calls of the engine gains: in the service, and where nothing else takes time."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.harness.servers import Server, gatecast
from benchmarks.serving.load import load
from benchmarks.serving.plan import CLIENTS, Figures, Plan, answered
from forecasting.bundle.forecaster import open_forecaster
from forecasting.bundle.predictor import Predictor
from forecasting.runtime.processes import cores

__all__ = ["batching"]


def batching(plan: Plan) -> Figures:
    """64 clients at once, with shared calls, and with a call for each on all cores; the model alone, too."""
    found = _alone(plan.home, plan.repeats, plan.scale)
    with gatecast(plan.home) as shared, gatecast(plan.home, batch_windows="1") as single:
        for server in (shared, single):
            load(server, plan.body, seconds=plan.seconds(2), clients=CLIENTS)
        runs = [_cost(server, plan) for _ in range(plan.repeats) for server in (shared, single)]  # taking turns
    (rate, cpu), (single_rate, single_cpu) = (np.median(runs[which::2], axis=0).round(3).tolist() for which in (0, 1))
    return {
        **found,
        "requests_per_second": rate,
        "unbatched_per_second": single_rate,
        "batching_speedup": round(rate / single_rate, 2),
        "cpu_ms_per_request": cpu,
        "unbatched_cpu_ms_per_request": single_cpu,
    }


def _cost(server: Server, plan: Plan) -> tuple[float, float]:
    """Requests a second of 64 clients, and the milliseconds of all cores that the service takes for one."""
    before = server.cpu_seconds
    run = answered(load(server, plan.body, seconds=plan.seconds(10), clients=CLIENTS))
    return run["per_second"], 1000 * (server.cpu_seconds - before) / run["requests"]


def _alone(home: Path, repeats: int, scale: float) -> dict[str, float]:
    """Windows a second without a service: calls of 64 windows, and of one, on as many threads as cores."""
    bundle = home / "made" / "1" / "bundle"
    predictor, windows = open_forecaster(bundle, threads=1).bundle.predictor, int(6400 * scale)
    with np.load(bundle / "golden.npz", allow_pickle=False) as golden:
        one = {name: golden[name][:1] for name in golden.files if name != "expected"}
    runs = [(_rate(predictor, one, 64, windows), _rate(predictor, one, 1, windows)) for _ in range(repeats)]
    shared, single = (statistics.median(rates) for rates in zip(*runs, strict=True))
    return {
        "model_shared_per_second": round(shared, 1),
        "model_single_per_second": round(single, 1),
        "model_batching_speedup": round(shared / single, 2),
    }


def _rate(predictor: Predictor, one: dict[str, np.ndarray], size: int, windows: int) -> float:
    """Windows a second in calls of that size."""
    batch, threads = {name: np.repeat(array, size, axis=0) for name, array in one.items()}, cores()
    calls = threads * max(4, windows // size)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: predictor.quantiles(batch), range(threads)))  # warm
        begin = time.perf_counter()
        list(pool.map(lambda _: predictor.quantiles(batch), range(calls)))
        return size * calls / (time.perf_counter() - begin)
