"""Fits as a run makes them, in a process of their own, and baselines beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from forecasting.bundle.artifact import Origin
from forecasting.config.job import Job
from forecasting.evaluation.judging import fit_baselines
from forecasting.evaluation.metrics import Judged
from forecasting.evaluation.problem import Backtester
from forecasting.runtime import child
from forecasting.series.folds import Fold
from forecasting.training.records import Fitted

__all__ = ["fit", "scored_baselines", "with_training"]


def with_training(job: Job, changes: Mapping[str, Any]) -> Job:
    """The job with other settings of training."""
    return job.model_copy(update={"train": job.train.model_copy(update=changes)})


def fit(table: pd.DataFrame, job: Job, fold: Fold, work: Path) -> Fitted:
    """Fit the network of a job on one fold, or search for one."""
    numbers = "selection.auto:fit_auto" if job.model.name == "auto" else "training.fit:fit"
    how = "training.symbols:fit_symbols" if job.symbolic else numbers
    fitted: Fitted = child.call(f"forecasting.{how}", table, job, fold, work, origin=Origin())
    return fitted


def scored_baselines(
    table: pd.DataFrame, job: Job, folds: Sequence[Fold], backtest: Backtester, work: Path
) -> list[Judged]:
    """The baselines of a job, fitted on these folds and backtested."""
    fitted = fit_baselines(table, job, folds, work, origin=Origin())
    return [backtest(baseline.bundles, baseline.name).scored for baseline in fitted]
