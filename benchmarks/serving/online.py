"""One forecast in this process, against Keras and PyTorch on the same network."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.served_model import CONTEXT, HORIZON, UNITS, request
from forecasting.bundle.artifact import open_bundle
from forecasting.bundle.fast_path import Readings, windows_of
from forecasting.bundle.quantile_forecaster import QuantileForecaster
from forecasting.series.windows import Batch, Windows

__all__ = ["online"]

Network = Callable[[Batch], np.ndarray]  # a batch to quantiles (B, H, 3)


def online(home: Path, repeats: int, scale: float) -> dict[str, Any]:
    """Medians, and how many times as long the others take.

    `vs_keras_predict` and `vs_torch` are their networks alone against the whole, from readings to quantiles;
    `engine_vs_torch` is like with like, both on the same array; `vs_torch_served` is the whole against the same whole
    with PyTorch for the engine. All but Keras, whose threads disturb others, take turns.
    """
    bundle = home / "made" / "1" / "bundle"
    forecaster = QuantileForecaster(open_bundle(bundle, threads=1))
    columns = request()["columns"]
    readings = Readings(columns["unique_id"], np.array(columns["ds"], "datetime64[us]"), np.array(columns["y"]), {})
    batch, ours, torch = _batch(forecaster, readings), forecaster.bundle.predictor.quantiles, _torch()
    contest: dict[str, Callable[[], Any]] = {
        "online": lambda: _forecast(forecaster, readings, ours),
        "engine": lambda: ours(batch),
    }
    if torch is not None:
        contest["torch"] = lambda: torch(batch)
        contest["torch_served"] = lambda: _forecast(forecaster, readings, torch)
    calls = max(20, int(300 * scale))
    blocks = [{name: _times(call, calls) for name, call in contest.items()} for _ in range(10 * repeats)]
    times = {name: np.concatenate([block[name] for block in blocks]) for name in contest}
    times["keras_predict"] = _times(_keras(bundle, batch), max(20, calls // 2 * repeats))
    p50 = {name: float(np.median(taken)) for name, taken in times.items()}
    return {
        **{f"{name}_p50_ms": round(median, 4) for name, median in p50.items()},
        "online_p99_ms": round(float(np.percentile(times["online"], 99)), 4),
        "vs_keras_predict": round(p50["keras_predict"] / p50["online"], 1),
        **({"vs_torch": "torch is not installed"} if torch is None else _against_torch(p50)),
    }


def _against_torch(p50: dict[str, float]) -> dict[str, float]:
    return {
        "engine_vs_torch": round(p50["torch"] / p50["engine"], 2),
        "vs_torch": round(p50["torch"] / p50["online"], 2),
        "vs_torch_served": round(p50["torch_served"] / p50["online"], 2),
    }


def _batch(forecaster: QuantileForecaster, readings: Readings) -> Batch:
    return forecaster.bundle.predictor.batch(_windows(forecaster, readings), np.arange(1))


def _forecast(forecaster: QuantileForecaster, readings: Readings, network: Network) -> np.ndarray:
    """From readings to quantiles, as the service does it."""
    windows, first = _windows(forecaster, readings), np.arange(1)
    read = network(forecaster.bundle.predictor.batch(windows, first))
    return forecaster.finish(read, windows, first, forecaster.spec.wanted)


def _windows(forecaster: QuantileForecaster, readings: Readings) -> Windows:
    windows = windows_of(readings, forecaster.spec)
    if windows is None:
        raise RuntimeError("the request does not qualify for the fast path")
    return windows


def _times(call: Callable[[], Any], calls: int) -> np.ndarray:
    """Milliseconds of each call (calls,), after some to warm up."""
    for _ in range(max(3, calls // 10)):
        call()
    found = np.empty(calls)
    for index in range(calls):
        begin = time.perf_counter()
        call()
        found[index] = 1000 * (time.perf_counter() - begin)
    return found


def _keras(bundle: Path, batch: Batch) -> Callable[[], Any]:
    import keras

    from forecasting.nn import heads, models  # noqa: F401 - they register the layers of the file

    network = keras.saving.load_model(bundle / "model.keras", compile=False)
    read = {tensor.name: batch[tensor.name] for tensor in network.inputs}
    return lambda: network.predict(read, verbose=0)


def _torch() -> Network | None:
    """A network of the same sizes in PyTorch, with one thread or two, whichever is faster.

    It has two LSTM layers, and one dense layer for all steps and levels. Ours has more around the same LSTM layers: it
    puts the window into its own frame, and two dense layers read the calendar ahead.
    """
    try:
        import torch
    except ImportError:
        return None
    lstm = torch.nn.LSTM(3, UNITS[0], num_layers=len(UNITS), batch_first=True).eval()
    dense = torch.nn.Linear(UNITS[-1], 3 * HORIZON).eval()

    def call(batch: Batch) -> np.ndarray:
        with torch.inference_mode():
            quantiles: np.ndarray = dense(lstm(torch.from_numpy(batch["past"]))[0][:, -1]).numpy()
        return quantiles.reshape(-1, HORIZON, 3)

    def median(threads: int) -> float:
        torch.set_num_threads(threads)
        return float(np.median(_times(lambda: call({"past": np.zeros((1, CONTEXT, 3), np.float32)}), 500)))

    torch.set_num_threads(min((1, 2), key=median))
    return call
