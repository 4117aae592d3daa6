"""How time and memory grow with series, readings, context, horizon, and units: the exponents of power laws."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.harness.memory import peak_mb
from benchmarks.speed.jobs import measured
from forecasting.runtime import child

__all__ = ["AXES", "draw_growth", "one", "scaling"]

_STEPS: Final = 10  # optimizer steps that are timed
_BASE: Final = {"series": 32, "rows": 1_000, "context": 96, "horizon": 24, "units": 64}
AXES: Final = {
    "series": (250, 500, 1_000, 2_000),
    "rows": (8_000, 16_000, 32_000, 64_000),
    "context": (48, 96, 192, 384),
    "horizon": (24, 48, 96, 192),
    "units": (32, 64, 128, 256),
}
_FIGURES: Final = {"prepare_seconds": "preparing, s", "step_ms": "a step, ms", "peak_mb": "peak memory, MB"}


def scaling() -> dict[str, Any]:
    """For each axis its values, their figures, and the exponent of each figure: 1 is linear, 0 does not grow."""
    return {axis: _along(axis, values) for axis, values in AXES.items()}


def _along(axis: str, values: tuple[int, ...]) -> dict[str, Any]:
    """Every value in a process of its own; the other sizes stay."""
    rows = [child.call("benchmarks.speed.scaling:one", {**_BASE, axis: value}) for value in values]
    figures = {name: [row[name] for row in rows] for name in _FIGURES}
    exponents = {name: _exponent(values, found) for name, found in figures.items()}
    return {"values": list(values), **figures, "exponents": exponents}


def _exponent(sizes: tuple[int, ...], found: list[float]) -> float:
    """The slope of a line through the logarithms."""
    return round(float(np.polyfit(np.log(sizes), np.log(found), 1)[0]), 2)


def draw_growth(grown: dict[str, Any], path: Path) -> None:
    """A picture of what `scaling` found: a panel a figure, a line an axis; all scales but memory are logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.4), layout="constrained")
    panels = figure.subplots(1, len(_FIGURES))
    for panel, (name, title) in zip(panels, _FIGURES.items(), strict=True):
        for axis, found in grown.items():
            times = np.array(found["values"]) / found["values"][0]
            panel.loglog(times, found[name], marker="o", label=axis, base=2)
        panel.set(title=title, xlabel="times the smallest size")
        if name == "peak_mb":
            panel.set(yscale="linear", ylim=(0, None))
        panel.xaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_major_formatter("{x:g}")
    panels[0].legend()
    figure.savefig(path, dpi=110)


def one(sizes: dict[str, int]) -> dict[str, float]:
    """The figures of one size: seconds from the clean table to windows, a training step, and the most memory."""
    from forecasting.series.folds import folds
    from forecasting.series.prepare import prepare
    from forecasting.training.batches import Batches, draw
    from forecasting.training.devices import set_up
    from forecasting.training.fit import network_for
    from forecasting.training.loop import compile_network
    from forecasting.training.plan import plan

    model = {"name": "stacked", "params": {"cell": "lstm", "units": [sizes["units"]]}}
    window = {name: sizes[name] for name in ("context", "horizon")}
    job, table, _ = measured(model, series=sizes["series"], rows=sizes["rows"], **window)
    fold = folds(table, job)[0]
    begin = time.perf_counter()
    data = prepare(table, job, fold)
    prepared = time.perf_counter() - begin
    set_up(job.train)
    network = network_for(job, data.features)
    learner = compile_network(network, network.get_layer("head").loss, job.train, plan(job.train, 10_000))
    order = draw(len(data.train), 1, 0, (_STEPS + 2) * 256)
    ends = []
    for inputs, targets in Batches(data.train, order, 256):
        learner.train_on_batch(inputs, targets)
        ends.append(time.perf_counter())
    return {
        "prepare_seconds": round(prepared, 3),
        "step_ms": round(1000 * float(np.median(np.diff(ends[1:]))), 2),
        "peak_mb": round(peak_mb()),
    }
