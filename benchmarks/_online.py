"""One forecast in this process, against Keras and PyTorch on the same network."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._homes import HORIZON, request
from forecasting.bundle.forecaster import Forecaster
from forecasting.bundle.online import Readings, panel_of
from forecasting.series.window import Batch, at_rows

__all__ = ["online"]


def online(home: Path, repeats: int, scale: float) -> dict[str, Any]:
    """From readings to quantiles, and the networks alone: `vs_keras_predict` and `vs_torch` are whole against alone."""
    bundle = home / "made" / "1" / "bundle"
    forecaster = Forecaster.load(bundle, threads=1)
    columns = request()["columns"]
    readings = Readings(columns["unique_id"], np.array(columns["ds"], "datetime64[us]"), np.array(columns["y"]), {})
    calls = max(20, int(3000 * scale))
    ours = _times(lambda: _forecast(forecaster, readings), calls, repeats)
    batch = _batch(forecaster, readings)
    keras_times = _times(_keras(bundle, batch), max(10, calls // 20), repeats)
    torch_call = _torch(batch)
    torch = "torch is not installed" if torch_call is None else np.median(_times(torch_call, calls, repeats))
    p50 = float(np.median(ours))
    return {
        "online_p50_ms": round(p50, 4),
        "online_p99_ms": round(float(np.percentile(ours, 99)), 4),
        "keras_predict_p50_ms": round(float(np.median(keras_times)), 3),
        "vs_keras_predict": round(float(np.median(keras_times)) / p50, 1),
        "vs_torch": torch if isinstance(torch, str) else round(float(torch) / p50, 2),
    }


def _batch(forecaster: Forecaster, readings: Readings) -> Batch:
    panel = panel_of(readings, forecaster.spec)
    if panel is None:
        raise RuntimeError("the narrow door is closed")
    spec = forecaster.spec
    windows = at_rows(panel, panel.offsets[1:] - spec.horizon - 1, context=spec.context, horizon=spec.horizon)
    return forecaster.bundle.predictor.batch(windows, np.arange(1))


def _forecast(forecaster: Forecaster, readings: Readings) -> np.ndarray:
    spec = forecaster.spec
    panel = panel_of(readings, spec)
    if panel is None:
        raise RuntimeError("the narrow door is closed")
    windows = at_rows(panel, panel.offsets[1:] - spec.horizon - 1, context=spec.context, horizon=spec.horizon)
    first = np.arange(1)
    read = forecaster.bundle.predictor.quantiles(forecaster.bundle.predictor.batch(windows, first))
    return forecaster.finish(read, windows, first, spec.wanted)


def _times(call: Callable[[], Any], calls: int, repeats: int) -> np.ndarray:
    """Milliseconds of each call (repeats * calls,), after some to warm up."""
    for _ in range(max(3, calls // 20)):
        call()
    found = np.empty(repeats * calls)
    for index in range(len(found)):
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


def _torch(batch: Batch) -> Callable[[], Any] | None:
    """A network of the same sizes in PyTorch: two LSTM layers, and one dense layer for all steps and levels."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    past = torch.from_numpy(batch["past"])
    lstm = torch.nn.LSTM(past.shape[-1], 64, num_layers=2, batch_first=True).eval()
    dense = torch.nn.Linear(64, 3 * HORIZON).eval()

    def call() -> Any:
        with torch.inference_mode():
            return dense(lstm(past)[0][:, -1]).numpy()

    return call
