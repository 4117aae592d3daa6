"""Resident memory while a network trains on 100,000,000 readings: windows are never materialized.

    python -m benchmarks.memory --points 100000000 --json memory.json

The series are made block by block (random walks), as a store would hand them out, and become one panel. "Own size"
is what the readings take as they come: float64 values. Everything else counts as overhead: the interpreter, TensorFlow,
the panel beyond it, the batches.

    python -m benchmarks.memory --fits 3

Trains a job so often, as `gatecast train` does, and tells what this process, the parent, holds before and after each
fit and what the children took at most; on a machine with a GPU also what is allocated there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.harness.command_line import parser, publish
from benchmarks.harness.memory import peak_mb, peak_of_children_mb, resident_mb
from benchmarks.harness.readings import long_table, walks
from forecasting.config.head import NumberHead
from forecasting.config.job import parse_job
from forecasting.config.network import Stacked
from forecasting.config.series import Window
from forecasting.series.features import Features
from forecasting.series.panel import Panel, build, join
from forecasting.series.scaling import Scaler
from forecasting.series.windows import Windows, slide
from forecasting.training.records import Start

LENGTH = 100_000  # readings of one series
CONTEXT, HORIZON, BATCH = 96, 24, 256


def main() -> None:
    """Train a few hundred batches drawn from all windows and print the peak."""
    command = parser("memory", __doc__)
    command.add_argument("--points", type=int, default=100_000_000)
    command.add_argument("--batches", type=int, default=200)
    command.add_argument("--fits", type=int, help="measure the parent of so many fits instead")
    options = command.parse_args()
    result = given_back(options.fits) if options.fits else drawn(options.points, options.batches)
    publish(result, options.json)
    sys.exit(0 if (result["grown_mb"] <= 50 if options.fits else result["over_own_size_mb"] <= 1000) else 1)


def drawn(points: int, batches: int) -> dict[str, Any]:
    """The peak of this process while it trains on batches that are drawn from the windows of so many readings."""
    panel = join(list(panels(points)))
    windows = slide(panel, Window(context=CONTEXT, horizon=HORIZON))
    built = peak_mb()
    loss = train(panel, windows, batches)
    own = points * 8 / 1e6
    return {
        "points": points,
        "windows": len(windows),
        "window_tensor_mb": round(len(windows) * CONTEXT * 4 / 1e6),
        "own_size_mb": round(own),
        "peak_building_mb": round(built),
        "peak_mb": round(peak_mb()),
        "over_own_size_mb": round(peak_mb() - own),
        "loss": loss,
    }


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
        raw, _ = tasks.read(job)
        open_home().store.observations.merge(job.name, tasks.clean(job, raw).table)
        del raw
        data = tasks.take_snapshot(job)
        resident, gpu = [resident_mb()], [gpu_mb()]
        for number in range(fits):
            tasks.train(job, data, 0, Start(f"scratch-{number}"))  # a name of its own, so that nothing is resumed
            resident.append(resident_mb())
            gpu.append(gpu_mb())
            print(f"fit {number + 1}/{fits}: {resident[-1]:.1f} MB", file=sys.stderr, flush=True)
    return {
        "parent_mb": [round(value) for value in resident],
        "grown_mb": round(resident[-1] - resident[0]),
        "peak_of_children_mb": round(peak_of_children_mb()),
        "gpu_mb": gpu,
        "keras_in_parent": "keras" in sys.modules,
    }


def gpu_mb() -> int | None:
    """What is allocated on the first GPU; none without one."""
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    try:
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0])
    except (OSError, subprocess.CalledProcessError):
        return None


def panels(points: int) -> Iterator[Panel]:
    """Ten series at a time, each a random walk with a daily wave."""
    draw, count = np.random.default_rng(1), points // LENGTH
    for first in range(0, count, 10):
        names = [f"series-{number:05d}" for number in range(first, min(first + 10, count))]
        table = long_table(names, walks(draw, len(names), LENGTH))
        yield build(table, Features(freq="h"), Scaler(pooled=(0.0, 300.0)))


def train(panel: Panel, windows: Windows, batches: int) -> float:
    """Fit a small LSTM on `batches` batches."""
    from forecasting.nn import heads, models
    from forecasting.training.batches import Batches, draw

    head = heads.build(NumberHead())
    shapes = models.Shapes(context=CONTEXT, horizon=HORIZON, past=len(panel.features.inputs))
    network = models.build(Stacked(units=(32,)), shapes, head)
    network.compile(optimizer="adamw", loss=head.loss)
    order = draw(len(windows), 1, 0, batches * BATCH)
    losses = [network.train_on_batch(*batch, return_dict=True)["loss"] for batch in Batches(windows, order, BATCH)]
    return float(np.mean(losses))


if __name__ == "__main__":
    main()
