"""The data of one run: a version of the stored observations, cleaned, with its rolling origins."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from forecasting.columns import DS
from forecasting.config.job import Job
from forecasting.series import events
from forecasting.series.dataset import dataset
from forecasting.series.folds import Fold
from forecasting.storage.fingerprint import fingerprint
from forecasting.storage.store import Store

__all__ = ["Snapshot", "take"]


class Snapshot(NamedTuple):
    """Everything that a run knows of the world; reading `version` again gives the same."""

    version: int  # of the stored observations
    fingerprint: str  # SHA-256 of the stored observations, and of the holidays and events beside them
    table: pd.DataFrame  # clean
    decisions: pd.DataFrame  # of cleaning
    folds: tuple[Fold, ...]
    job: Job  # with a number in place of every `auto`
    left_out: Mapping[str, str] = {}  # why a stored series is not in the table


def take(store: Store, job: Job, version: int | None = None) -> Snapshot:
    """The latest observations of `job`, or those of `version`; raises DataError if there are none or too few."""
    number = (
        store.observations.version(job.name) if version is None else version
    )  # first: another process may write meanwhile
    stored = store.observations.read(job.name, number)
    data = dataset(stored, job)
    return Snapshot(0 if number is None else number, fingerprint(stored, _days(stored, job)), *data)


def _days(table: pd.DataFrame, job: Job) -> str:
    """The holidays and events of the job's series as text; empty without any."""
    dates = events.resolve(job.series, table[DS].min(), table[DS].max())
    return json.dumps(dates, default=str) if dates else ""
