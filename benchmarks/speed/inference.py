"""Forecasts of 1, 64, and 1,024 windows by every cell: the engine beside PyTorch, Keras, and OpenVINO."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.harness.served_model import HORIZON, UNITS
from benchmarks.speed.jobs import measured
from benchmarks.speed.turns import installed, ratio, seconds
from forecasting.runtime.processes import cores
from forecasting.series.windows import Batch

__all__ = ["SIZES", "inference"]

SIZES: Final = (1, 64, 1_024)  # windows
_CELLS: Final = ("lstm", "gru", "simple", "peephole_lstm", "coupled_lstm", "bidirectional")
_TORCH: Final = {"lstm": "LSTM", "gru": "GRU", "simple": "RNN", "bidirectional": "LSTM"}

Call = Callable[[Batch], Any]


def inference(folder: Path | None, runs: int) -> dict[str, Any]:
    """Milliseconds of the engine by cell and windows, and how many times as long the others take.

    PyTorch runs its own layers and one dense layer, with one thread or all, whichever is faster; Keras and OpenVINO run
    the same network. All are in one process and take turns.
    """
    installed(folder)
    return {"cells": {cell: _measured(cell, runs) for cell in _CELLS}}


def _measured(cell: str, runs: int) -> dict[str, Any]:
    """The figures of one cell, by the number of windows."""
    calls, windows = _contestants(cell)
    figures = {}
    for size in SIZES:
        batch = windows.batch(np.arange(size))
        taken = seconds({name: partial(call, batch) for name, call in calls.items()}, runs)
        if "torch_alone" in taken:
            taken["torch"] = min(taken["torch"], taken["torch_alone"])
        ratios = {f"vs_{name}": ratio(taken, name, "engine") for name in ("torch", "keras", "openvino")}
        figures[str(size)] = {"engine_ms": round(1000 * taken["engine"], 3), **ratios}
    return figures


def _contestants(cell: str) -> tuple[dict[str, Call], Any]:
    """What answers a batch, by name, and the windows to ask for."""
    from forecasting.bundle.assemble import spec_for
    from forecasting.bundle.predictor import Predictor
    from forecasting.training.fit import export_graphs, network_for

    both = cell == "bidirectional"
    params = {"cell": "lstm" if both else cell, "units": UNITS, "bidirectional": both}
    job, _, data = measured({"name": "stacked", "params": params})
    network = network_for(job, data.features)
    graphs, _ = export_graphs(network, job, data.valid.batch(np.arange(32)))
    spec = spec_for(job, job.model.name, data.features, data.scaler, context=job.window.context)
    others = {"torch": _torch(cell, cores()), "torch_alone": _torch(cell, 1), "openvino": _openvino(graphs.model)}
    calls: dict[str, Call] = {"engine": Predictor(spec, graphs).quantiles}
    calls |= {name: call for name, call in others.items() if call}
    return calls | {"keras": lambda batch: network.predict_on_batch({"past": batch["past"]})}, data.train


def _torch(cell: str, threads: int) -> Call | None:
    """Two layers of that cell, and one dense layer for all steps and levels; none without PyTorch or that cell."""
    try:
        import torch
    except ImportError:
        return None
    if cell not in _TORCH:
        return None
    both = cell == "bidirectional"
    layers = getattr(torch.nn, _TORCH[cell])(1, UNITS[0], len(UNITS), batch_first=True, bidirectional=both).eval()
    dense = torch.nn.Linear(UNITS[-1] * (1 + both), 3 * HORIZON).eval()

    def call(batch: Batch) -> Any:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            return dense(layers(torch.from_numpy(batch["past"]))[0][:, -1]).numpy()

    return call


def _openvino(model: bytes) -> Call | None:
    """The exported graph; none without OpenVINO."""
    try:
        import openvino
    except ImportError:
        return None
    compiled = openvino.compile_model(openvino.Core().read_model(model), "CPU")
    return lambda batch: compiled({"past": batch["past"]})[0]
