"""Accuracy on public benchmarks, by their own protocol: all test windows, several seeds, next to naive and ridge.

    python -m benchmarks.accuracy etth1-96 --seeds 3 --json accuracy.json
    python -m benchmarks.accuracy etth1-96 etth1-720 --model segrnn

Long-horizon cells (Zhou et al. 2021): every channel is one series, standardised with the mean and deviation of the
training rows; the error is the mean over all test windows, steps and channels on that scale. The network, its
context and its training are those of the model's file in CONFIGS. GATECAST_DATASETS names the folder of the data sets.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from forecasting import sources
from forecasting.bundle.artifact import Origin
from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.job import Job, load_job
from forecasting.config.series import Series, Window
from forecasting.config.source import FileColumns, FileSource
from forecasting.evaluation.backtest import candidate, find_origins
from forecasting.evaluation.judging import fit_baselines
from forecasting.evaluation.metrics import summarise
from forecasting.runtime import child
from forecasting.series.folds import Fold

ROOT = Path(__file__).parents[1]
CONFIGS = {"stacked": ROOT / "configs" / "ett.yaml", "segrnn": ROOT / "benchmarks" / "ett_segrnn.yaml"}


class Cell(NamedTuple):
    """One file, its frequency and the numbers of training, validation and test rows."""

    path: str
    freq: str
    rows: tuple[int, int, int]


FILES = {
    "etth1": Cell("ett/ETTh1.csv.gz", "h", (8640, 2880, 2880)),
    "etth2": Cell("ett/ETTh2.csv.gz", "h", (8640, 2880, 2880)),
    "ettm1": Cell("ett/ETTm1.csv.gz", "15min", (34560, 11520, 11520)),
    "ettm2": Cell("ett/ETTm2.csv.gz", "15min", (34560, 11520, 11520)),
    "exchange": Cell("lstnet/exchange_rate_autoformer.csv.gz", "D", (5311, 758, 1519)),
}
HORIZONS = (96, 192, 336, 720)
CELLS = {f"{name}-{horizon}": (cell, horizon) for name, cell in FILES.items() for horizon in HORIZONS}


def main() -> None:
    """Measure the cells that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", nargs="+", choices=sorted(CELLS), metavar="CELL", help=", ".join(CELLS))
    parser.add_argument("--model", choices=sorted(CONFIGS), default="stacked")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("GATECAST_DATASETS", str(ROOT.parent / "shared" / "datasets"))
    result = {"cells": {name: measure(name, options.model, options.seeds) for name in options.cells}}
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result), encoding="utf-8")


def measure(name: str, model: str, seeds: int) -> dict[str, Any]:
    """Mean and deviation over the seeds, with naive and ridge on the same windows."""
    cell, horizon = CELLS[name]
    job, table = standardised(load_job(CONFIGS[model]), cell, horizon)
    fold = standard_fold(table, cell, horizon)
    origins = find_origins(table, job, [fold])
    runs = []
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(1, seeds + 1):
            begin = time.perf_counter()
            seeded = job.model_copy(update={"train": job.train.model_copy(update={"seed": seed})})
            fitted = child.call(
                "forecasting.training.fit:fit", table, seeded, fold, Path(scratch) / str(seed), origin=Origin()
            )
            scored = candidate(table, origins, (fitted.bundle,), job.model.name).scored
            loss = float(fitted.curves["val_loss"].min())
            runs.append(summarise(scored) | {"val_loss": loss, "seconds": time.perf_counter() - begin})
            errors = " ".join(f"{key} {runs[-1][key]:.4f}" for key in ("val_loss", "mse", "mae"))
            print(f"{name} {model} seed {seed}: {errors}", file=sys.stderr)
        rivals = fit_baselines(table, job, [fold], Path(scratch) / "baselines", origin=Origin())
        others = {e.name: summarise(candidate(table, origins, e.bundles, e.name).scored)["mse"] for e in rivals}
    return {
        "model": model,
        "context": job.window.context,
        "mse": float(np.mean([run["mse"] for run in runs])),
        "mae": float(np.mean([run["mae"] for run in runs])),
        "sd_mse": float(np.std([run["mse"] for run in runs])),
        "val_loss": float(np.mean([run["val_loss"] for run in runs])),
        "seconds": float(np.mean([run["seconds"] for run in runs])),
        "peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6,
        "windows": len(origins.cutoff) // table[UNIQUE_ID].nunique(),
        "seeds": seeds,
        "mse_of": others,
    }


def standardised(base: Job, cell: Cell, horizon: int) -> tuple[Job, pd.DataFrame]:
    """The job `base` on this cell, and the cell's table on the scale of the training rows."""
    source = FileSource(path=f"${{GATECAST_DATASETS}}/{cell.path}", columns=FileColumns(layout="wide", ds="date"))
    job = base.model_copy(
        update={
            "source": source,
            "series": Series(freq=cell.freq, scale="none"),
            "window": Window(context=base.window.context, horizon=horizon),
        }
    )
    table = sources.read(job).sort_values([UNIQUE_ID, DS], ignore_index=True)
    order = table.groupby(UNIQUE_ID).cumcount()
    table = table[order < sum(cell.rows)]
    learned = table[order[table.index] < cell.rows[0]].groupby(UNIQUE_ID)[Y]
    mean, deviation = (table[UNIQUE_ID].map(values) for values in (learned.mean(), learned.std(ddof=0)))
    return job, table.assign(y=(table[Y] - mean) / deviation).reset_index(drop=True)


def standard_fold(table: pd.DataFrame, cell: Cell, horizon: int) -> Fold:
    """Training rows, validation rows, and every cutoff whose horizon lies in the test rows."""
    stamps = pd.DatetimeIndex(table[DS].unique())
    train, valid, test = cell.rows
    return Fold(
        stamps[train - 1], stamps[train + valid - 1], stamps[train + valid - 1 : train + valid + test - horizon]
    )


if __name__ == "__main__":
    main()
