"""Resident memory while a network trains on 100,000,000 readings: windows are never materialised.

    python -m benchmarks.memory --points 100000000 --json memory.json

The series are made block by block (random walks), as a store would hand them out, and become one panel. "Own size"
is what the readings take as they come: float64 values. Everything else counts as overhead: the interpreter, TensorFlow,
the panel beyond it, the batches.

    python -m benchmarks.memory --fits 3

Trains a job so often, as `gatecast train` does, and tells what this process, the parent, holds before and after each
fit and what the children took at most; on a machine with a GPU also what is allocated there.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.job import parse_job
from forecasting.config.series import Window
from forecasting.series import scaling as scale
from forecasting.series.features import Features
from forecasting.series.panel import Panel, build, join
from forecasting.series.windows import slide
from forecasting.training.start import Start

LENGTH = 100_000  # readings of one series
CONTEXT, HORIZON, BATCH = 96, 24, 256


def main() -> None:
    """Train a few hundred batches drawn from all windows and print the peak."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=100_000_000)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--fits", type=int, help="measure the parent of so many fits instead")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.fits:
        result = given_back(options.fits)
        print(json.dumps(result, indent=1))
        if options.json:
            options.json.write_text(json.dumps(result), encoding="utf-8")
        sys.exit(0 if result["grown_mb"] <= 50 else 1)
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


def given_back(fits: int) -> dict[str, Any]:
    """Resident memory of the parent before the first fit and after each, and the peak of its children."""
    from forecasting.lifecycle.home import open_home
    from pipelines import tasks

    job = parse_job(
        {
            "name": "memory",
            "source": {"kind": "synthetic", "series": 20, "length": 3000, "season": 24, "noise": 0.2},
            "series": {"freq": "h", "calendar": ["hour"]},
            "window": {"context": CONTEXT, "horizon": HORIZON},
            "model": {"name": "stacked", "params": {"cell": "lstm", "units": [64, 64]}},
            "train": {"epochs": 1, "windows_per_epoch": 2048},
        }
    )
    with tempfile.TemporaryDirectory() as home:
        os.environ["GATECAST_HOME"] = home
        raw = tasks.read(job)
        open_home().store.observations.merge(job.name, tasks.clean(job, raw).table)
        del raw
        data = tasks.take_snapshot(job)
        resident, gpu = [resident_mb()], [gpu_mb()]
        for number in range(fits):
            tasks.train(job, data, 0, Start(f"scratch-{number}"))  # a name of its own, so that nothing is resumed
            resident.append(resident_mb())
            gpu.append(gpu_mb())
    return {
        "parent_mb": [round(value) for value in resident],
        "grown_mb": round(resident[-1] - resident[0]),
        "peak_of_children_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6),
        "gpu_mb": gpu,
        "keras_in_parent": "keras" in sys.modules,
    }


def resident_mb() -> float:
    """What this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def gpu_mb() -> int | None:
    """What is allocated on the first GPU; none without one."""
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    try:
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0])
    except (OSError, subprocess.CalledProcessError):
        return None


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
