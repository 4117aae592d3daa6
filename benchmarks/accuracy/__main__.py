"""Accuracy on public benchmarks, by their own protocol: all test windows, several seeds, next to naive and ridge.

    python -m benchmarks.accuracy etth1-96 --seeds 3 --json accuracy.json
    python -m benchmarks.accuracy etth1-96 etth1-720 --model segrnn
    python -m benchmarks.accuracy etth1-96 --model auto --seeds 3

Long-horizon cells (Zhou et al. 2021): every channel is one series, standardized with the mean and deviation of the
training rows; the error is the mean over all test windows, steps and channels on that scale. The network, its
context and its training are those of the model's file in CONFIGS. GATECAST_DATASETS names the folder of the data sets.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.accuracy.cells import CELLS, standard_fold, standardized
from benchmarks.harness.command_line import one_of, parser, publish
from benchmarks.harness.fitting import fit, scored_baselines, with_training
from benchmarks.harness.memory import peak_of_children_mb
from forecasting.columns import UNIQUE_ID
from forecasting.config.job import load_job
from forecasting.evaluation.metrics import summarise
from forecasting.evaluation.problem import problem_of

CONFIGS: Final = {
    "stacked": Path(__file__).parents[2] / "configs" / "ett.yaml",
    "segrnn": Path(__file__).with_name("ett_segrnn.yaml"),
    "auto": Path(__file__).with_name("ett_auto.yaml"),
}


def main() -> None:
    """Measure the cells that were asked for."""
    command = parser("accuracy", __doc__)
    known = f"default: etth1-96; any of {', '.join(CELLS)}"
    command.add_argument("cells", nargs="*", type=one_of(CELLS), default=["etth1-96"], metavar="CELL", help=known)
    command.add_argument("--model", choices=sorted(CONFIGS), default="stacked")
    command.add_argument("--seeds", type=int, default=1)
    options = command.parse_args()
    publish({"cells": {name: measure(name, options.model, options.seeds) for name in options.cells}}, options.json)


def measure(name: str, model: str, seeds: int) -> dict[str, Any]:
    """Mean and deviation over the seeds, with naive and ridge on the same windows."""
    cell, horizon = CELLS[name]
    job, table = standardized(load_job(CONFIGS[model]), cell, horizon)
    fold = standard_fold(table, cell, horizon)
    backtest = problem_of(job).backtester(table, job, [fold])
    runs = []
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(1, seeds + 1):
            begin = time.perf_counter()
            fitted = fit(table, with_training(job, {"seed": seed}), fold, Path(scratch) / str(seed))
            scored = backtest((fitted.bundle,), job.model.name).scored
            loss = float(fitted.curves["val_loss"].min() if fitted.tried is None else fitted.tried["wql"].min())
            runs.append(summarise(scored) | {"val_loss": loss, "seconds": time.perf_counter() - begin})
            errors = " ".join(f"{key} {runs[-1][key]:.4f}" for key in ("val_loss", "mse", "mae"))
            print(f"{name} {model} seed {seed}: {errors}", file=sys.stderr)
        baselines = scored_baselines(table, job, [fold], backtest, Path(scratch) / "baselines")
    return {
        "model": model,
        "context": job.window.context,
        **{key: float(np.mean([run[key] for run in runs])) for key in ("mse", "mae", "val_loss", "seconds")},
        "sd_mse": float(np.std([run["mse"] for run in runs])),
        "peak_mb": peak_of_children_mb(),
        "windows": len(baselines[0].cutoff) // table[UNIQUE_ID].nunique(),
        "seeds": seeds,
        "mse_of": {scored.model: summarise(scored)["mse"] for scored in baselines},
    }


if __name__ == "__main__":
    main()
