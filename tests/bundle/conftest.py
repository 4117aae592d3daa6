"""A fitted fold and the bundle of its ridge, which reads every kind of input."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

from forecasting.bundle.artifact import Origin
from forecasting.config.job import Job
from forecasting.evaluation import baselines
from forecasting.series.clean import clean
from forecasting.series.folds import Fold, folds
from forecasting.series.prepare import Prepared, prepare


class Fitted(NamedTuple):
    """A clean table, its job and fold, what a fit saw, and where the bundle lies."""

    table: pd.DataFrame
    job: Job
    fold: Fold
    data: Prepared
    bundle: Path


@pytest.fixture(scope="session")
def fit_baseline(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Fitted]:
    """Fits the baseline `name` on the first fold of a raw table."""

    def fit(table: pd.DataFrame, job: Job, name: str) -> Fitted:
        cleaned = clean(table, job.series).table
        fold = folds(cleaned, job)[0]
        data = prepare(cleaned, job, fold)
        place = tmp_path_factory.mktemp(name) / "bundle"
        path = baselines.fit(name, data, job, place, origin=Origin(seed=3, git_commit="abc"))
        return Fitted(cleaned, job, fold, data, path)

    return fit


@pytest.fixture(scope="session")
def fitted(rich: tuple[pd.DataFrame, Job], fit_baseline: Callable[..., Fitted]) -> Fitted:
    """The ridge of the rich table; not to be changed."""
    return fit_baseline(*rich, "ridge")
