"""The differences between judging models of numbers and models of symbols, in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pandas as pd

from forecasting.bundle.artifact import Origin
from forecasting.config.job import Job
from forecasting.evaluation import backtest, baselines, leakage, ngrams, symbols
from forecasting.evaluation.gate import Backtested
from forecasting.evaluation.metrics import METRICS, Metric
from forecasting.series.folds import Fold

__all__ = ["PROBLEMS", "Backtester", "Problem", "problem_of"]

Backtester = Callable[[Sequence[Path], str], Backtested]


class Problem(NamedTuple):
    """How models of one kind of job are fitted as baselines, backtested, and audited."""

    baselines: tuple[str, ...]
    metrics: Mapping[str, Metric]
    # fits some baselines on one fold: names, clean table, job, fold, path of each bundle, origin
    fit: Callable[[Sequence[str], pd.DataFrame, Job, Fold, Mapping[str, Path], Origin], None]
    # backtests a model, its bundle of each fold and its name, on the windows of a clean table; raises DataError
    # if no window can be scored
    backtester: Callable[[pd.DataFrame, Job, Sequence[Fold]], Backtester]
    # the leak audit of a raw table, with the models of these bundles
    audit: Callable[[pd.DataFrame, Job, Sequence[Path]], list[leakage.Moved]]


PROBLEMS: Final[dict[str, Problem]] = {
    "numbers": Problem(tuple(baselines.BASELINES), METRICS, baselines.fit_all, backtest.backtester, leakage.audit),
    "symbols": Problem(
        tuple(ngrams.NGRAMS), symbols.SYMBOL_METRICS, ngrams.fit_all, symbols.backtester, leakage.audit_symbols
    ),
}


def problem_of(job: Job) -> Problem:
    """The kind of problem that a job is."""
    return PROBLEMS[job.kind]
