"""Calendar features against hand-computed angles, seasons against the calendar."""

import math

import numpy as np
import pandas as pd
import pytest

from forecasting.errors import ConfigError
from forecasting.series.calendar import TIME_FEATURES, calendar, channel_names, season_length

STAMP = pd.DatetimeIndex(["2024-02-10 18:45:30"])  # a Saturday, the 41st day of a leap year, ISO week 6


@pytest.mark.parametrize(
    ("name", "turn"),
    [
        ("minute", 45.5 / 60),
        ("hour", (18 + 45.5 / 60) / 24),
        ("day_of_week", 5 / 7),
        ("day_of_month", 9 / 29),
        ("day_of_year", 40 / 366),
        ("week_of_year", 5 / (365.25 / 7)),
        ("month", 1 / 12),
        ("quarter", 0.0),
    ],
)
def test_cyclic_features_are_points_on_a_circle(name: str, turn: float) -> None:
    """Sine and cosine of the share of the cycle that has passed."""
    expected = [math.sin(2 * math.pi * turn), math.cos(2 * math.pi * turn)]
    assert calendar(STAMP, [name])[0] == pytest.approx(expected, abs=1e-6)


def test_calendar_agrees_with_the_fields_of_pandas() -> None:
    """To the last bit, for any microsecond of five centuries, before 1970 too; every year's ends are among them."""
    random = np.random.default_rng(1).integers(-(8 * 10**15), 8 * 10**15, 20_000).astype("datetime64[us]")
    ends = np.arange("1770", "2270", dtype="datetime64[Y]").astype("datetime64[us]")
    ds = pd.DatetimeIndex(np.concatenate([random, ends, ends - 1]))
    seconds = ds.second.to_numpy()
    positions = {
        "minute": (ds.minute.to_numpy() + seconds / 60, 60),
        "hour": (ds.hour.to_numpy() + ds.minute.to_numpy() / 60 + seconds / 3600, 24),
        "day_of_week": (ds.day_of_week.to_numpy(), 7),
        "day_of_month": (ds.day.to_numpy() - 1, ds.days_in_month.to_numpy()),
        "day_of_year": (ds.day_of_year.to_numpy() - 1, 365 + ds.is_leap_year),
        "week_of_year": (ds.isocalendar().week.to_numpy(dtype=float) - 1, 365.25 / 7),
        "month": (ds.month.to_numpy() - 1, 12),
        "quarter": (ds.quarter.to_numpy() - 1, 4),
    }
    assert {"weekend", *positions} == set(TIME_FEATURES)
    for name, (position, period) in positions.items():
        angle = 2 * np.pi * position / period
        expected = np.stack([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32)
        assert np.array_equal(calendar(ds, [name]), expected), name


def test_every_feature_gives_its_channels_in_order() -> None:
    """Names, widths and types agree, all finite and within the circle."""
    ds = pd.date_range("2023-12-25", periods=2000, freq="7h", unit="us")
    names = list(TIME_FEATURES)
    values = calendar(ds, names)
    assert values.dtype == np.float32
    assert values.shape == (2000, len(channel_names(names)))
    assert np.abs(values).max() <= 1
    for name, column in zip(channel_names(names), values.T, strict=True):
        alone = calendar(ds, [name.removesuffix("_sin").removesuffix("_cos")])
        assert np.array_equal(column, alone[:, -1] if name.endswith(("_cos", "weekend")) else alone[:, 0])
    assert channel_names(["weekend", "hour"]) == ["weekend", "hour_sin", "hour_cos"]


def test_weekend_is_saturday_and_sunday() -> None:
    """Against a week that begins on a Monday."""
    assert calendar(pd.date_range("2024-01-01", periods=7), ["weekend"])[:, 0].tolist() == [0, 0, 0, 0, 0, 1, 1]


def test_no_feature_gives_no_channel() -> None:
    """A job without calendar has an array of width 0."""
    assert calendar(STAMP, []).shape == (1, 0)


def test_time_zone_reads_the_stamps_as_local_time() -> None:
    """Noon in Melbourne is 1 o'clock UTC in summer and 2 o'clock in winter."""
    utc = pd.DatetimeIndex(["2024-01-15 01:00", "2024-07-15 02:00"])
    assert calendar(utc, ["hour"], time_zone="Australia/Melbourne")[:, 1] == pytest.approx([-1, -1])


def test_unknown_feature_lists_the_known_ones() -> None:
    """With the one that was probably meant."""
    with pytest.raises(ConfigError, match=r"names hours \(did you mean hour\?\); known features: minute, hour"):
        calendar(STAMP, ["hours"])
    with pytest.raises(ConfigError, match="known features"):
        channel_names(["year"])


@pytest.mark.parametrize(
    ("freq", "season"),
    [
        *[("5min", 288), ("10min", 144), ("15min", 96), ("30min", 48), ("min", 1440), ("7min", 1)],
        *[("h", 24), ("2h", 12), ("6h", 4), ("D", 7), ("7D", 52), ("2D", 1), ("B", 5), ("W", 52), ("W-WED", 52)],
        *[("2W", 26), ("ME", 12), ("MS", 12), ("BME", 12), ("3MS", 4), ("QE", 4), ("QS-FEB", 4), ("YE", 1), ("YS", 1)],
        *[("s", 3600), ("10s", 360), ("ms", 1000), ("100ms", 10)],
    ],
)
def test_season_of_a_frequency(freq: str, season: int) -> None:
    """Days of hours, weeks of days, years of months; 1 where a season is no whole number of steps."""
    assert season_length(freq) == season


def test_unknown_frequency_is_a_configuration_error() -> None:
    """Old aliases are named with their successor."""
    with pytest.raises(ConfigError, match=r"'M' is no pandas frequency.*ME"):
        season_length("M")
