"""What sharing calls of the engine gains where nothing else takes time: the model alone, on all cores."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from forecasting.bundle.forecaster import open_forecaster
from forecasting.bundle.predictor import Predictor
from forecasting.runtime.processes import cores

__all__ = ["alone"]


def alone(home: Path, repeats: int, scale: float) -> dict[str, float]:
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
