"""Intervals of counts with many zeros: the negative binomial head on the job of configs/counts.yaml, several seeds.

    python -m benchmarks.counts --seeds 3 --json counts.json

An interval of whole numbers holds its ends, and where most readings are zero its lower end is zero: it must hold more
than its level. Three figures per seed, all on the same rolling origins:
"coverage" is the share of actuals within the closed 80 % interval that was served, conformal calibration included;
"coverage_raw" is the same of the head's own quantiles, before calibration;
"coverage_claimed" is the probability that the head's distributions themselves give to these closed intervals;
"coverage_pit" is what tells whether the distribution is right: the share of actuals whose probability integral
transform, spread at random over the jump of the distribution function (Czado, Gneiting and Held 2009), lies within
0.1 and 0.9. It is 80 % for the true distribution, however many zeros there are.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from benchmarks.harness.command_line import parser, publish
from benchmarks.harness.fitting import fit, scored_baselines, with_training
from forecasting import sources
from forecasting.bundle.distributions import distribution
from forecasting.bundle.engine import Engine
from forecasting.bundle.forecaster import Forecaster, open_forecaster
from forecasting.columns import Y
from forecasting.config.job import Job, load_job
from forecasting.evaluation.metrics import summarise
from forecasting.evaluation.problem import Backtester, problem_of
from forecasting.series.clean import clean, regular_grid
from forecasting.series.folds import Fold, folds
from forecasting.series.panel import build
from forecasting.series.windows import Windows, at_rows

CONFIG = Path(__file__).parents[1] / "configs" / "counts.yaml"
INTERVAL = (0.1, 0.9)


def main() -> None:
    """Measure as many seeds as were asked for."""
    command = parser("counts", __doc__)
    command.add_argument("--seeds", type=int, default=3)
    options = command.parse_args()
    publish(measure(load_job(CONFIG), options.seeds), options.json)


def measure(job: Job, seeds: int) -> dict[str, Any]:
    """The head's coverages and weighted quantile loss, mean and spread over the seeds, beside the baselines."""
    table = clean(sources.read(job), job.series).table
    plan = folds(table, job)
    backtest = problem_of(job).backtester(table, job, plan)
    with tempfile.TemporaryDirectory() as scratch:
        runs = [_run(job, table, plan[0], backtest, seed, Path(scratch)) for seed in range(1, seeds + 1)]
        baselines = scored_baselines(table, job, plan, backtest, Path(scratch) / "baselines")
        others = {scored.model: summarise(scored) for scored in baselines}
    return {
        "zeros": float((table[Y] == 0).mean()),
        "windows": len(baselines[0].cutoff),
        "seeds": seeds,
        **{key: float(np.mean([run[key] for run in runs])) for key in runs[0]},
        "range_pit": [min(run["coverage_pit"] for run in runs), max(run["coverage_pit"] for run in runs)],
        "wql_of": {name: summary["wql"] for name, summary in others.items()},
        "coverage_of": {name: summary["coverage"] for name, summary in others.items()},
    }


def _run(job: Job, table: pd.DataFrame, fold: Fold, backtest: Backtester, seed: int, scratch: Path) -> dict[str, float]:
    """Fit one seed and score it."""
    begin = time.perf_counter()
    fitted = fit(table, with_training(job, {"seed": seed}), fold, scratch / str(seed))
    seconds = time.perf_counter() - begin
    served = summarise(backtest((fitted.bundle,), job.model.name).scored)
    run = {key: served[key] for key in ("wql", "mae", "coverage")}
    run |= _coverages(fitted.bundle, table, fold.cutoffs, np.random.default_rng(seed)) | {"seconds": seconds}
    print(f"seed {seed}: " + " ".join(f"{key} {figure:.4f}" for key, figure in run.items()), file=sys.stderr)
    return run


def _coverages(
    bundle: Path, table: pd.DataFrame, cutoffs: pd.DatetimeIndex, rng: np.random.Generator
) -> dict[str, float]:
    """Closed coverage of the head's own quantiles, and of the randomized probability integral transform."""
    windows = _windows(open_forecaster(bundle), table, cutoffs)
    indices = np.arange(len(windows))
    y = windows.targets(indices).astype(np.float64)  # the job does not scale counts
    output = Engine((bundle / "model.onnx").read_bytes()).run(windows.batch(indices))["parameters"].astype(np.float64)
    low, high = np.moveaxis(distribution("negative_binomial", ()).quantile(output, np.array(INTERVAL)), -1, 0)
    at_most, fewer = _reached(y, output)
    transform = fewer + rng.random(y.shape) * (at_most - fewer)
    claimed = _reached(high, output)[0] - _reached(low, output)[1]
    seen = ~np.isnan(y)
    return {
        "coverage_raw": float(((low <= y) & (y <= high))[seen].mean()),
        "coverage_claimed": float(claimed[seen].mean()),
        "coverage_pit": float(((transform >= INTERVAL[0]) & (transform <= INTERVAL[1]))[seen].mean()),
    }


def _reached(counts: np.ndarray, output: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The probability of at most that many counts, and of fewer, under mean and dispersion (..., 2)."""
    size, share = 1 / output[..., 1], output[..., 0] / (output[..., 0] + 1 / output[..., 1])
    fewer = np.where(counts > 0, special.betaincc(np.maximum(counts, 1), size, share), 0.0)
    return special.betaincc(counts + 1, size, share), fewer


def _windows(forecaster: Forecaster, table: pd.DataFrame, cutoffs: pd.DatetimeIndex) -> Windows:
    """The windows of all series at all cutoffs, as the bundle reads them."""
    spec = forecaster.spec
    grid = regular_grid(table, spec.series)
    panel = build(grid, spec.features, spec.scaler, context=spec.context, horizon=spec.horizon, every_row=True)
    rows = np.concatenate([panel.rows_at(cutoff) for cutoff in cutoffs])
    return at_rows(panel, rows, context=spec.context, horizon=spec.horizon)


if __name__ == "__main__":
    main()
