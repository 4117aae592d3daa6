"""Frames: ConvLSTM against the last frame and other simple forecasts, all test windows, several seeds.

    python -m benchmarks.frames digits sea --seeds 3 --json frames.json

digits: two handwritten digits move about a 32 × 32 field and bounce; ten frames are shown, five asked for.
sea: monthly sea-surface temperature of the tropics, a year is shown, the next month asked for, the last twelve months
tested on. The climatology of a cell is its mean of that month over everything before the test. GATECAST_DATASETS names
the folder of the data set.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.harness.command_line import one_of, parser, publish
from benchmarks.harness.fitting import fit, scored_baselines, with_training
from benchmarks.harness.homes import data_folder
from examples import moving_digits
from forecasting import sources
from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.job import load_job
from forecasting.evaluation.metrics import Judged
from forecasting.evaluation.problem import problem_of
from forecasting.series.clean import clean
from forecasting.series.folds import folds, past

__all__ = ["CASES", "main", "measure"]

SEA = Path(__file__).parents[1] / "configs" / "sea_surface_frames.yaml"


def main() -> None:
    """Measure the cases that were asked for."""
    command = parser("frames", __doc__)
    known = f"default: all of {', '.join(CASES)}"
    command.add_argument("cases", nargs="*", type=one_of(CASES), default=[*CASES], metavar="CASE", help=known)
    command.add_argument("--seeds", type=int, default=1)
    options = command.parse_args()
    publish({"cells": {name: measure(name, options.seeds) for name in options.cases}}, options.json)


def measure(name: str, seeds: int) -> dict[str, object]:
    """Mean and deviation of the mean squared error over the seeds, and how much less it is than each rival's."""
    runs, seconds = [], []
    for seed in range(1, seeds + 1):
        begin = time.perf_counter()
        runs.append(CASES[name](seed))
        seconds.append(time.perf_counter() - begin)
        print(f"{name} seed {seed}: " + " ".join(f"{k} {v:.5f}" for k, v in runs[-1].items()), file=sys.stderr)
    mse = {model: float(np.mean([run[model] for run in runs])) for model in runs[0]}
    return {
        "mse": mse,
        "sd_mse": float(np.std([run["conv_lstm"] for run in runs])),
        "less_than": {model: 1 - mse["conv_lstm"] / error for model, error in mse.items() if model != "conv_lstm"},
        "seconds": float(np.mean(seconds)),
        "seeds": seeds,
    }


def digits(seed: int) -> dict[str, float]:
    """Moving digits: errors in intensity squared, all cells of all frames."""
    return moving_digits.errors(moving_digits.TRAIN.model_copy(update={"seed": seed}), moving_digits.SEQUENCES)


def sea(seed: int) -> dict[str, float]:
    """Sea-surface temperature: errors in kelvin squared, every cell at every cutoff and step."""
    data_folder()
    job = with_training(load_job(SEA), {"seed": seed})
    table = clean(sources.read(job), job.series).table
    plan = folds(table, job)
    backtest = problem_of(job).backtester(table, job, plan)
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        fitted = fit(table, job, plan[0], work / "fit")
        network = backtest((fitted.bundle,), job.model.name).scored
        scored = [network, *scored_baselines(table, job, plan, backtest, work / "baselines")]
    median = network.quantiles.index(0.5)
    errors = {each.model: float(np.nanmean((each.forecast[:, :, median] - each.y) ** 2)) for each in scored}
    known = past(table, plan[0].seen_until)
    return errors | {"climatology": float(np.nanmean((climatology(known, network) - network.y) ** 2))}


def climatology(known: pd.DataFrame, judged: Judged) -> np.ndarray:
    """The mean of every cell (N, H) in the month that is asked for."""
    means = known.groupby([UNIQUE_ID, known[DS].dt.month])[Y].mean()
    steps = range(1, judged.y.shape[1] + 1)
    months = [(pd.DatetimeIndex(judged.cutoff) + pd.DateOffset(months=step)).month for step in steps]
    asked = [pd.MultiIndex.from_arrays([judged.unique_id, month]) for month in months]
    return np.stack([means.reindex(index).to_numpy() for index in asked], axis=1)


CASES: dict[str, Callable[[int], dict[str, float]]] = {"digits": digits, "sea": sea}

if __name__ == "__main__":
    main()
