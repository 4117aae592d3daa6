"""The data of a run: clean, with its folds, and the same again for the same version."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.config.job import Job
from forecasting.errors import DataError
from forecasting.series.clean import clean
from forecasting.series.folds import folds
from forecasting.storage.fingerprint import fingerprint
from forecasting.storage.snapshot import take
from forecasting.storage.store import Store

Tables = Callable[..., pd.DataFrame]


@pytest.fixture
def job(make_job: Callable[..., Job]) -> Job:
    """Ten cutoffs, readings above 1000 are errors."""
    return make_job({"upper": 1000}, backtest={"windows": 10}, train={"validation": 10})


def test_take_gives_the_stored_readings_clean_with_their_folds(home: Path, job: Job, make_table: Tables) -> None:
    """Decisions say what cleaning did; the fingerprint is that of what is stored."""
    stored = make_table({"a": np.append(np.arange(99.0), 9999.0)})
    store = Store(home)
    store.observations.merge(job.name, stored)
    data = take(store, job)
    pd.testing.assert_frame_equal(data.table, clean(stored, job.series).table)
    assert data.decisions["decision"].tolist() == ["above_upper", "trailing_missing"]
    assert data.fingerprint == fingerprint(stored)
    assert data.version == 0
    assert [fold.cutoffs.tolist() for fold in data.folds] == [fold.cutoffs.tolist() for fold in folds(data.table, job)]


def test_a_version_gives_the_same_again_after_later_readings(home: Path, job: Job, make_table: Tables) -> None:
    """What a run knew can be read again; the latest is another world."""
    store = Store(home)
    store.observations.merge(job.name, make_table({"a": np.arange(100.0)}))
    before = take(store, job)
    store.observations.merge(job.name, make_table({"a": np.arange(120.0) * 2}))
    again, latest = take(store, job, before.version), take(store, job)
    assert (again.version, again.fingerprint) == (before.version, before.fingerprint)
    pd.testing.assert_frame_equal(again.table, before.table)
    assert (latest.version, len(latest.table)) == (1, 120)
    assert latest.fingerprint != before.fingerprint


def test_the_version_named_is_the_version_read(home: Path, job: Job, make_table: Tables) -> None:
    """Another process that writes between two steps of `take` cannot make it name what it did not read."""

    class Busy(Store):
        """A store into which somebody writes right after every read."""

        def read_observations(self, job: str, version: int | None = None) -> pd.DataFrame:
            """What is stored now; a moment later there is more."""
            read = super().observations.read(job, version)
            self.observations.merge(job, make_table({"a": np.arange(130.0)}))
            return read

    Store(home).observations.merge(job.name, make_table({"a": np.arange(100.0)}))
    data = take(Busy(home), job)
    assert (data.version, len(data.table)) == (0, 100)
    assert data.fingerprint == take(Store(home), job, data.version).fingerprint


def test_without_observations_there_is_nothing_to_take(home: Path, job: Job) -> None:
    """The message names the command that brings them."""
    with pytest.raises(DataError, match=r"no observations of job are stored; .* gatecast ingest"):
        take(Store(home), job)
