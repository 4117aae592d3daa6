"""Characters of tiny Shakespeare: nats per character of the last tenth, after so many seconds of training.

    python -m benchmarks.symbols --seconds 180 --json symbols.json

The job is configs/characters.yaml. One epoch on a small part, in a process of its own, says how long an epoch takes;
the fit then has as many epochs as fit, so that its learning rate comes to its end. "seconds" and "cpu_seconds" are
those of all epochs, compilation and validation included; "nats" is scored one symbol ahead on rolling spans that cover
the last tenth, by the exported bundle. "sample" is a continuation of its end.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.harness.command_line import parser, publish
from benchmarks.harness.fitting import fit, scored_baselines, with_training
from benchmarks.harness.homes import data_folder
from forecasting import sources
from forecasting.bundle.forecaster import open_forecaster
from forecasting.config.job import Job, load_job
from forecasting.evaluation.metrics import summarise
from forecasting.evaluation.problem import problem_of
from forecasting.series.clean import clean
from forecasting.series.folds import Fold, folds, past

CONFIG = Path(__file__).parents[1] / "configs" / "characters.yaml"
PART = 8  # of the training span, on which an epoch is timed
SPARE = 0.9  # of the seconds are planned: epochs are not all alike


def main() -> None:
    """Measure, and write what came of it."""
    command = parser("symbols", __doc__)
    command.add_argument("--seconds", type=float, default=180.0)
    command.add_argument("--epochs", type=int, help="so many epochs, whatever they take")
    options = command.parse_args()
    data_folder()
    publish(measure(load_job(CONFIG), options.seconds, options.epochs), options.json)


def measure(job: Job, seconds: float, epochs: int | None) -> dict[str, Any]:
    """Fit for about that long, score the last tenth, beside the n-grams."""
    table = clean(sources.read(job), job.series).table
    plan = folds(table, job)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        planned = epochs or _epochs(table, job, plan[0], place, seconds)
        begin, used = time.perf_counter(), _cpu()
        fitted = fit(table, with_training(job, {"epochs": planned}), plan[0], place / "fit")
        whole, used = time.perf_counter() - begin, _cpu() - used
        backtest = problem_of(job).backtester(table, job, plan)
        scored = backtest((fitted.bundle,), job.model.name).scored
        baselines = scored_baselines(table, job, plan, backtest, place / "baselines")
        told = open_forecaster(fitted.bundle).forecast(past(table, plan[0].cutoffs[0]))["symbol"]
    return {
        **summarise(scored),
        "nats_of": {baseline.model: summarise(baseline)["nats"] for baseline in baselines},
        "windows": len(scored.cutoff),
        "symbols": int(scored.y.size),
        "epochs": planned,
        "seconds": float(fitted.curves["seconds"].sum()),
        "seconds_with_export": whole,
        "cpu_seconds": used,
        "val_nats": float(fitted.curves["val_loss"].min()),
        "sample": "".join(told),
    }


def _epochs(table: pd.DataFrame, job: Job, fold: Fold, scratch: Path, seconds: float) -> int:
    """How many epochs fit into the time, from two on the first part of the training span."""
    steps = len(past(table, fold.fit_until)) // PART
    small = table.groupby("unique_id").head(steps + steps // 10)
    part = Fold(small["ds"].iloc[steps - 1], small["ds"].iloc[-1], fold.cutoffs)
    first, second = fit(small, with_training(job, {"epochs": 2}), part, scratch / "timed").curves["seconds"]
    planned = max(1, int((SPARE * seconds - (first - second)) / (second * PART)))
    print(f"an epoch takes {second * PART:.1f} s, compiling {first - second:.1f} s: {planned} epochs", file=sys.stderr)
    return planned


def _cpu() -> float:
    """CPU-seconds of the child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
