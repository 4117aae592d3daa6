"""The readings beside a forecast: how many, until when, and where their line breaks."""

import numpy as np
import pandas as pd
import pytest

from forecasting.series.excerpt import around, broken_at_gaps, latest

STAMPS = pd.date_range("2026-01-01", periods=4000, freq="h", unit="us")
READINGS = pd.DataFrame({"unique_id": "a", "ds": STAMPS, "y": np.arange(4000.0)})


def forecast(cutoff: int, horizon: int) -> pd.DataFrame:
    """The stamps of a forecast that was made after so many readings."""
    ahead = pd.date_range(STAMPS[cutoff - 1], periods=horizon + 1, freq="h", unit="us")[1:]
    return pd.DataFrame({"ds": ahead, "cutoff": STAMPS[cutoff - 1]})


@pytest.mark.parametrize(("horizon", "before"), [(3, 60), (24, 144), (400, 1500)])
def test_six_horizons_stand_before_the_cutoff_within_bounds(horizon: int, before: int) -> None:
    """At least sixty readings, at most 1,500, and the whole horizon after them."""
    shown = around(READINGS, forecast(2000, horizon))
    assert list(shown["y"]) == list(range(2000 - before, 2000 + horizon))


def test_history_that_is_shorter_is_shown_whole() -> None:
    """So are the readings that came only in part, or not at all."""
    assert list(around(READINGS[:12], forecast(10, 5))["y"]) == list(range(12))
    assert list(around(READINGS[:10], forecast(10, 5))["y"]) == list(range(10))
    assert around(READINGS[:0], forecast(10, 5)).empty


def test_latest_readings_end_with_the_last_one() -> None:
    """No more than are drawn before a cutoff."""
    assert list(latest(READINGS)["y"]) == list(range(2500, 4000))


def test_long_pause_breaks_the_line_and_a_weekend_does_not() -> None:
    """Daily readings of working days stay one line; a missing month is a hole, one usual step before the next one."""
    days = pd.bdate_range("2026-01-01", "2026-03-31", unit="us")
    kept = days[(days < "2026-02-02") | (days > "2026-02-27")]
    broken = broken_at_gaps(pd.DataFrame({"unique_id": "a", "ds": kept, "y": 1.0}))
    assert list(broken["ds"][broken["y"].isna()]) == [pd.Timestamp("2026-03-01")]
    assert list(broken["ds"].dropna()) == sorted(broken["ds"])
    assert len(broken) == len(kept) + 1
