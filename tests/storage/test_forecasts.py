"""Forecasts: each is stored once and found by its cutoff, version and series."""

from pathlib import Path

import pandas as pd
from pandas.testing import assert_frame_equal

from forecasting.storage.store import Store
from tests.storage.rows import forecasts


def test_forecasts_are_stored_exactly_once(tmp_path: Path) -> None:
    """Per series, stamp, cutoff and model version; the first one stays."""
    store = Store(tmp_path)
    assert store.forecasts.append("j", forecasts(1)) == 3
    assert store.forecasts.append("j", forecasts(1).assign(**{"q0.5": 99.0})) == 0
    assert store.forecasts.append("j", pd.concat([forecasts(1, rows=4), forecasts(2)])) == 4
    assert store.forecasts.append("j", forecasts(1, "2024-01-02")) == 3
    stored = store.forecasts.read("j")
    assert len(stored) == 10
    assert stored["q0.5"].isin([1, 2]).all()


def test_forecasts_are_read_by_cutoff_and_version(tmp_path: Path) -> None:
    """As they were written."""
    store = Store(tmp_path)
    for version, cutoff in ((1, "2024-01-01"), (1, "2024-01-02"), (2, "2024-01-02")):
        store.forecasts.append("j", forecasts(version, cutoff))
    assert_frame_equal(
        store.forecasts.read("j", cutoff=pd.Timestamp("2024-01-02"), version=2), forecasts(2, "2024-01-02")
    )
    assert len(store.forecasts.read("j", cutoff=pd.Timestamp("2024-01-02"))) == 6
    assert store.forecasts.read("j", version=3).empty
