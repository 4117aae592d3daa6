"""The season is found where there is one, from the past alone."""

import numpy as np
import pandas as pd
import pytest

from forecasting.series.season import autocorrelation, find_season, is_seasonal


def table(y: np.ndarray, freq: str) -> pd.DataFrame:
    """One series."""
    return pd.DataFrame({"unique_id": "a", "ds": pd.date_range("2020-01-01", periods=len(y), freq=freq), "y": y})


def waves(period: float, length: int, noise: float = 0.3) -> np.ndarray:
    """A noisy sine."""
    rng = np.random.default_rng(3)
    return np.asarray(np.sin(2 * np.pi * np.arange(length) / period) + noise * rng.normal(size=length))


def test_autocorrelation_is_that_of_the_definition() -> None:
    """Against the sum of products, lag by lag."""
    values = waves(9, 80)
    centered = values - values.mean()
    expected = [float(centered[: 80 - lag] @ centered[lag:] / (centered @ centered)) for lag in range(11)]
    np.testing.assert_allclose(autocorrelation(values, 10), expected, atol=1e-12)
    assert autocorrelation(np.full(9, 2.0), 3).tolist() == [0.0] * 4


@pytest.mark.parametrize(("freq", "period"), [("h", 24), ("D", 7), ("MS", 12), ("30min", 48)])
def test_the_natural_season_is_found(freq: str, period: int) -> None:
    """A day of hours, a week of days, a year of months."""
    assert find_season(table(waves(period, 40 * period), freq), freq) == period


def test_another_season_is_found_where_the_natural_one_is_not_there() -> None:
    """A machine with a cycle of 30 hours."""
    assert find_season(table(waves(30, 1500, 0.1), "h"), "h") == 30


def test_a_gap_of_every_day_shortens_no_day() -> None:
    """A sensor that rests at four in the morning: its day has 24 hours, 23 of them read."""
    hours = table(waves(24, 1200), "h")
    hours.loc[hours["ds"].dt.hour == 4, "y"] = np.nan
    assert find_season(hours, "h") == 24
    assert find_season(hours.dropna(), "h") == 24


def test_without_a_season_the_natural_one_stays() -> None:
    """White noise, and a history that is too short to tell."""
    rng = np.random.default_rng(1)
    assert sum(is_seasonal([rng.normal(size=900)], 24) for _ in range(40)) <= 4
    noise = rng.normal(size=900)
    assert find_season(table(noise, "h"), "h") == 24
    assert find_season(table(noise[:20], "h"), "h") == 24
