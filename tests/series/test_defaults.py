"""What a job leaves to the data is chosen from the past alone, and stays as it was where it was given."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from forecasting.config.chosen import AUTO
from forecasting.config.job import Job, parse_job
from forecasting.errors import ConfigError
from forecasting.series.defaults import resolve
from forecasting.series.folds import folds


def job_of(freq: str, horizon: int, **sections: object) -> Job:
    """A job of four keys."""
    four = {"name": "a", "source": {"kind": "synthetic"}, "series": {"freq": freq}, "window": {"horizon": horizon}}
    return parse_job({**four, "model": "auto", **sections})


def table(length: int, freq: str, period: int) -> pd.DataFrame:
    """One noisy seasonal series."""
    rng = np.random.default_rng(2)
    y = np.sin(2 * np.pi * np.arange(length) / period) + 0.1 * rng.normal(size=length)
    return pd.DataFrame({"unique_id": "a", "ds": pd.date_range("2019-01-01", periods=length, freq=freq), "y": y})


@pytest.mark.parametrize(
    ("freq", "horizon", "length", "period", "context", "calendar"),
    [
        ("h", 24, 20_000, 24, 192, ("hour", "day_of_week", "day_of_year")),  # a week and a horizon
        ("h", 24, 400, 24, 72, ("hour",)),  # a third of what lies before the cutoffs
        ("D", 14, 3000, 7, 128, ("day_of_week", "day_of_year")),
        ("MS", 12, 400, 12, 36, ("month",)),
        ("W", 8, 700, 52, 65, ("week_of_year",)),
    ],
)
def test_context_and_calendar_follow_frequency_and_length(
    freq: str, horizon: int, length: int, period: int, context: int, calendar: tuple[str, ...]
) -> None:
    """Two to three seasons, a week of hours, or as much as the history allows."""
    resolved = resolve(job_of(freq, horizon), table(length, freq, period))
    assert (resolved.series.season, resolved.series.calendar) == (period, calendar)
    assert resolved.window.context == pytest.approx(context, abs=40 if length == 400 and freq == "h" else 0)
    assert resolved.selection.longest_context == min(3 * resolved.window.context, 512)


def test_origins_cover_thirty_horizons_or_a_fifth_of_the_history() -> None:
    """At most a hundred cutoffs, with a whole horizon after the last."""
    resolved = resolve(job_of("h", 24), table(20_000, "h", 24)).backtest
    assert (resolved.windows - 1) * resolved.step + 24 == pytest.approx(720, abs=resolved.step)
    assert resolved.windows <= 100
    short = resolve(job_of("MS", 12), table(150, "MS", 12)).backtest
    assert (short.windows, short.step) == (19, 1)


def test_what_is_given_stays() -> None:
    """Numbers of the configuration are not touched, nor is a calendar, not even an empty one."""
    given = job_of(
        "h",
        6,
        series={"freq": "h", "season": 5, "calendar": []},
        window={"context": 10, "horizon": 6},
        backtest={"windows": 4, "step": 3},
    )
    resolved = resolve(given, table(2000, "h", 24))
    assert resolved == given


def test_nothing_after_the_first_cutoff_is_looked_at(make_table: Callable[..., pd.DataFrame]) -> None:
    """Other readings from the first cutoff on lead to the same job."""
    before = table(3000, "h", 24)
    resolved = resolve(job_of("h", 24), before)
    cutoff = folds(before, resolved)[0].cutoffs[0]
    later = before["ds"] > cutoff
    assert later.any()
    changed = before.assign(y=before["y"].where(~later, np.random.default_rng(9).normal(50, 9, len(before))))
    assert resolve(job_of("h", 24), changed) == resolved


def test_auto_may_be_written_and_other_words_may_not() -> None:
    """`auto` is what stands where nothing is written."""
    written = job_of("h", 6, window={"context": "auto", "horizon": 6}, backtest={"windows": "auto", "step": "auto"})
    assert written.window.context == written.backtest.windows == AUTO
    assert parse_job(written.model_dump(mode="json")) == written
    with pytest.raises(ConfigError, match=r"window.context: must be a whole number from 1 to 100,000, or auto, got 0"):
        job_of("h", 6, window={"context": 0, "horizon": 6})
