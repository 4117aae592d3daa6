"""Readings are handed out as a source would, and never before their time."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmarks.loop.arms import first_made
from benchmarks.loop.readings import DAY, Readings, hourly_load

BEGIN = pd.Timestamp("2017-08-03")


@pytest.fixture
def rows() -> pd.DataFrame:
    """Ten days of hours."""
    stamps = pd.date_range(BEGIN - 5 * DAY, periods=240, freq="h", unit="us")
    return pd.DataFrame({"Datetime": stamps, "AEP_MW": range(240)})


def test_every_reading_comes_once_and_the_day_before_once_more(
    rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing after the day is given, nothing is left out, and the second look brings the last day again."""
    monkeypatch.setenv("GATECAST_LOOP_READINGS", "")
    source, path = Readings(rows, tmp_path / "readings.csv"), tmp_path / "readings.csv"
    source.give(BEGIN)
    first = pd.read_csv(path, parse_dates=["Datetime"])
    assert first["Datetime"].max() == BEGIN
    assert first["AEP_MW"].tolist() == list(range(121))
    source.give(BEGIN + DAY)
    second = pd.read_csv(path, parse_dates=["Datetime"])
    assert second["AEP_MW"].tolist() == list(range(97, 145))


def test_level_rises_from_that_stamp_on(datasets: Path) -> None:
    """The rise is a share of the mean before, and nothing before it moves."""
    spans = (BEGIN - 10 * DAY, BEGIN + 10 * DAY)
    plain = hourly_load(datasets, *spans, shifted=None, share=0.2)
    risen = hourly_load(datasets, *spans, shifted=BEGIN, share=0.2)
    moved = (risen["AEP_MW"] - plain["AEP_MW"]).to_numpy()
    before = (plain["Datetime"] <= BEGIN).to_numpy()
    assert (moved[before] == 0).all()
    assert moved[~before] == pytest.approx(0.2 * plain["AEP_MW"][before].mean())


def test_first_forecast_of_a_date_is_the_one_that_counts() -> None:
    """What a later version says of the same cutoff was not there when it was needed."""
    keys = {"unique_id": "aep", "ds": BEGIN + DAY, "cutoff": BEGIN}
    made = pd.DataFrame(
        [
            keys | {"version": 2, "created": pd.Timestamp("2026-01-02"), "q0.5": 2.0},
            keys | {"version": 1, "created": pd.Timestamp("2026-01-01"), "q0.5": 1.0},
        ]
    )
    assert first_made(made)["version"].tolist() == [1]
