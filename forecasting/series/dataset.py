"""A table as a fit and its judgment see it: clean, with a number in place of every `auto`, and with rolling origins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from forecasting.config.job import Job
from forecasting.series.clean import clean
from forecasting.series.defaults import resolve
from forecasting.series.folds import Fold, folds

__all__ = ["Dataset", "dataset"]


class Dataset(NamedTuple):
    """A clean table, what cleaning decided, the rolling origins, and the job with a number in place of every `auto`."""

    table: pd.DataFrame
    decisions: pd.DataFrame
    folds: tuple[Fold, ...]
    job: Job
    left_out: Mapping[str, str] = {}  # why a series is not in the table


def dataset(table: pd.DataFrame, job: Job) -> Dataset:
    """Clean a valid long table and lay the rolling origins of `job` over it; raises DataError if it is too short."""
    cleaned = clean(table, job.series)
    resolved = resolve(job, cleaned.table)
    return Dataset(cleaned.table, cleaned.decisions, folds(cleaned.table, resolved), resolved, cleaned.left_out)
