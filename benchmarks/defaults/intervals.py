"""The intervals of one model with other residuals than those that it is judged with."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from forecasting.bundle.artifact import open_bundle
from forecasting.bundle.assemble import recalibrate
from forecasting.bundle.quantile_forecaster import QuantileForecaster
from forecasting.config.job import Job
from forecasting.config.operation import MIN_RESIDUALS
from forecasting.errors import DataError
from forecasting.evaluation import metrics
from forecasting.evaluation.backtest import backtester, find_origins, score
from forecasting.monitor.watched import window_of
from forecasting.series.folds import folds, past, shift

__all__ = ["renewed", "split_conformal"]

PARTS: Final = 10  # of the test span, before each of which intervals are renewed


def split_conformal(job: Job, table: pd.DataFrame, bundle: Path, directory: Path) -> dict[str, float]:
    """How a model would do with the residuals of the validation span alone."""
    plan = folds(table, job)
    known, since = past(table, plan[0].at(plan[0].seen_until)), plan[0].at(plan[0].fit_until)
    made = recalibrate(open_bundle(bundle), known, since, directory, min_observed=job.window.min_observed)
    return figures("split", backtester(table, job, plan)((made,), "split").scored)


def renewed(job: Job, table: pd.DataFrame, bundle: Path, directory: Path) -> dict[str, float]:
    """How a model would do if a monitor renewed its intervals ten times over the test span.

    It does so from the latest readings that are known then, as many as the monitor reads; none is older than the fit.
    Where they are too few, or an outage leaves no window, the intervals stay.
    """
    fold, opened = folds(table, job)[0], open_bundle(bundle)
    origins, found = find_origins(table, job, (fold,)), []
    for number, part in enumerate(np.array_split(np.arange(len(fold.cutoffs)), min(PARTS, len(fold.cutoffs)))):
        cutoffs, until = fold.cutoffs[part], fold.cutoffs[part[0]]
        first = shift(until, -window_of(job) - job.window.horizon, job.series.freq)
        since = max(first, fold.fit_until)
        forecaster = QuantileForecaster(opened)
        if shift(since, job.window.horizon + MIN_RESIDUALS, job.series.freq) <= until:
            with contextlib.suppress(DataError):  # an outage has left no window
                made = recalibrate(
                    opened, past(table, until), since, directory / str(number), min_observed=job.window.min_observed
                )
                forecaster = QuantileForecaster(open_bundle(made))
        found.append(forecaster.at(table, cutoffs, origins.quantiles))
    return figures("renewed", score(origins, found, "renewed"))


def figures(prefix: str, scored: metrics.Judged) -> dict[str, float]:
    """Its loss and its coverage."""
    row = metrics.table([scored], "model").iloc[0]
    return {f"{prefix}_{metric}": float(row[metric]) for metric in ("wql", "coverage")}
