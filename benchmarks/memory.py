"""Resident memory while a network trains on 100,000,000 readings: windows are never materialised.

    python -m benchmarks.memory --points 100000000 --json memory.json

The series are made block by block (random walks), as a store would hand them out, and become one panel. "Own size"
is what the readings take as they come: float64 values. Everything else counts as overhead: the interpreter, TensorFlow,
the panel beyond it, the batches.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config import Window
from forecasting.series import scale
from forecasting.series.features import Features
from forecasting.series.panel import Panel, build, join
from forecasting.series.window import slide

LENGTH = 100_000  # readings of one series
CONTEXT, HORIZON, BATCH = 96, 24, 256


def main() -> None:
    """Train a few hundred batches drawn from all windows and print the peak."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=100_000_000)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    panel = join(list(panels(options.points)))
    windows = slide(panel, Window(context=CONTEXT, horizon=HORIZON))
    built = peak_mb()
    loss = train(panel, windows, options.batches)
    own = options.points * 8 / 1e6
    result = {
        "points": options.points,
        "windows": len(windows),
        "window_tensor_mb": round(len(windows) * CONTEXT * 4 / 1e6),
        "own_size_mb": round(own),
        "peak_building_mb": round(built),
        "peak_mb": round(peak_mb()),
        "over_own_size_mb": round(peak_mb() - own),
        "loss": loss,
    }
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result), encoding="utf-8")
    sys.exit(0 if result["over_own_size_mb"] <= 1000 else 1)


def panels(points: int) -> Iterator[Panel]:
    """Ten series at a time, each a random walk with a daily wave."""
    draw = np.random.default_rng(1)
    stamps = pd.date_range("2015-01-01", periods=LENGTH, freq="h")
    wave = np.sin(np.arange(LENGTH) * 2 * np.pi / 24)
    for first in range(0, points // LENGTH, 10):
        names = [f"series-{number:05d}" for number in range(first, min(first + 10, points // LENGTH))]
        tables = [
            pd.DataFrame({UNIQUE_ID: name, DS: stamps, Y: draw.normal(size=LENGTH).cumsum() + wave}) for name in names
        ]
        table = pd.concat(tables, ignore_index=True)
        yield build(table, Features(freq="h"), scale.Scaler(pooled=(0.0, 300.0)))


def train(panel: Panel, windows: object, batches: int) -> float:
    """Fit a small LSTM on `batches` batches."""
    from forecasting.nn import heads, models
    from forecasting.training.batches import Batches

    head = heads.build("quantile", (0.1, 0.5, 0.9))
    shapes = models.Shapes(context=CONTEXT, horizon=HORIZON, past=len(panel.features.inputs))
    network = models.build("stacked", {"units": [32]}, shapes, head)
    network.compile(optimizer="adamw", loss=head.loss)
    epoch = Batches(windows, BATCH, seed=1, most=batches * BATCH)  # type: ignore[arg-type]
    return float(network.fit(epoch, verbose=0).history["loss"][0])


def peak_mb() -> float:
    """The most resident memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
