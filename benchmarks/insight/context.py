"""Whether the advice of `--reach` on `window.context` holds: the same network, with its context and the advised one."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.harness.fitting import fit, with_training
from forecasting import sources
from forecasting.bundle.artifact import open_bundle
from forecasting.bundle.quantile_forecaster import QuantileForecaster
from forecasting.config.job import Job, load_job
from forecasting.evaluation.metrics import summarise
from forecasting.evaluation.problem import problem_of
from forecasting.insight.reach import Reach, reach
from forecasting.insight.sample import windows_of
from forecasting.series.clean import clean
from forecasting.series.folds import folds

__all__ = ["measure"]


def measure(config: Path, seed: int) -> dict[str, Any]:
    """The weighted quantile loss on the rolling origins, and the seconds of training, before and after the advice."""
    job = with_training(load_job(config), {"seed": seed})
    table = clean(sources.read(job), job.series).table
    before, found = _fitted(job, table)
    print(f"{config.stem}, seed {seed}: {found.advice}", file=sys.stderr)
    advised = found.advised
    if advised is None or advised == job.window.context:
        return {"advice": found.advice, "before": before}
    after, _ = _fitted(_with_context(job, advised), table)
    print(f"{config.stem}, seed {seed}: wql {before['wql']:.4g} → {after['wql']:.4g}", file=sys.stderr)
    return {
        "advice": found.advice,
        "before": before,
        "after": after,
        "wql_change": after["wql"] / before["wql"] - 1,
        "seconds_saved": 1 - after["seconds"] / before["seconds"],
    }


def _with_context(job: Job, context: int) -> Job:
    """The job with another context; a highway is at most as long."""
    params = job.model.params
    if getattr(params, "highway", 0):
        params = params.model_copy(update={"highway": min(params.highway, context)})
    model = job.model.model_copy(update={"params": params})
    return job.model_copy(update={"window": job.window.model_copy(update={"context": context}), "model": model})


def _fitted(job: Job, table: pd.DataFrame) -> tuple[dict[str, float], Reach]:
    plan = folds(table, job)
    with tempfile.TemporaryDirectory() as scratch:
        made = fit(table, job, plan[-1], Path(scratch))
        scored = problem_of(job).backtester(table, job, plan[-1:])((made.bundle,), job.model.name).scored
        model = QuantileForecaster(open_bundle(made.bundle))
        found = reach(model, windows_of(model, table))
    figures = {"context": job.window.context, "wql": summarise(scored)["wql"]}
    return {**figures, "seconds": float(made.curves["seconds"].sum()), "checks": len(made.curves)}, found
