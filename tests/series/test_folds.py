"""Cutoffs and folds against dates counted on a calendar, and their blindness to what comes after."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.config.job import Job
from forecasting.errors import DataError
from forecasting.series.folds import Fold, folds, past, shift

Tables = Callable[..., pd.DataFrame]
Jobs = Callable[..., Job]


def stamps(*texts: str) -> list[pd.Timestamp]:
    """Timestamps of ISO dates."""
    return [pd.Timestamp(text) for text in texts]


@pytest.mark.parametrize(
    ("freq", "start", "length", "horizon", "plan", "expected"),
    [
        # the last reading is at 03:00 on January 5
        ("h", "2024-01-01", 100, 3, (3, 2), ("2024-01-04 20:00", "2024-01-04 22:00", "2024-01-05 00:00")),
        # Monday, January 1 to Friday, March 22: weekends are no steps
        ("B", "2024-01-01", 60, 2, (3, 3), ("2024-03-12", "2024-03-15", "2024-03-20")),
        # January 2021 to April 2024, with a leap day
        ("ME", "2021-01-31", 40, 2, (3, 1), ("2023-12-31", "2024-01-31", "2024-02-29")),
        # Sundays from January 7 to July 28
        ("W-SUN", "2024-01-07", 30, 1, (2, 2), ("2024-07-07", "2024-07-21")),
        ("D", "2024-01-01", 40, 1, (1, 5), ("2024-02-08",)),
    ],
)
def test_cutoffs_are_counted_back_from_the_last_reading(
    freq: str,
    start: str,
    length: int,
    horizon: int,
    plan: tuple[int, int],
    expected: tuple[str, ...],
    make_table: Tables,
    make_job: Jobs,
) -> None:
    """The last cutoff has exactly one horizon after it, the others lie `step` grid steps apart."""
    job = make_job(
        {"freq": freq},
        window={"context": 4, "horizon": horizon},
        backtest={"windows": plan[0], "step": plan[1]},
        train={"validation": 5},
    )
    table = make_table({"a": np.arange(length), "b": np.arange(length - 7)}, freq, start)
    (fold,) = folds(table, job)
    assert fold.cutoffs.tolist() == stamps(*expected)
    assert fold.seen_until == fold.cutoffs[0]


@pytest.mark.parametrize(
    ("backtest", "validation", "fit_until", "seen_until"),
    [
        ({}, 10, "2024-01-03 23:00", "2024-01-04 09:00"),
        ({"gap": 4}, 10, "2024-01-03 19:00", "2024-01-04 05:00"),
        ({}, 0.25, "2024-01-03 13:00", "2024-01-04 09:00"),  # a quarter of 82 readings is 20.5, so 20
        ({}, 1, "2024-01-04 06:00", "2024-01-04 09:00"),  # at least one horizon
    ],
)
def test_validation_is_the_last_part_before_the_gap(
    backtest: dict[str, Any],
    validation: float,
    fit_until: str,
    seen_until: str,
    make_table: Tables,
    make_job: Jobs,
) -> None:
    """100 hours, horizon 3, 16 cutoffs: the first one is the 82nd reading, at 09:00 on January 4."""
    job = make_job(backtest={"windows": 16, **backtest}, train={"validation": validation})
    (fold,) = folds(make_table({"a": np.arange(100)}), job)
    assert [fold.fit_until, fold.seen_until] == stamps(fit_until, seen_until)
    assert len(fold.cutoffs) == 16


def test_refit_cuts_the_cutoffs_into_folds(make_table: Tables, make_job: Jobs) -> None:
    """Five cutoffs, a new fit after every two: each fit sees all up to its own first cutoff, none is left out."""
    job = make_job(backtest={"windows": 5, "step": 2, "refit": 2, "gap": 1}, train={"validation": 10})
    cut = folds(make_table({"a": np.arange(100)}), job)
    whole = pd.date_range("2024-01-04 16:00", periods=5, freq="2h", unit="us")
    assert [fold.cutoffs.tolist() for fold in cut] == [whole[:2].tolist(), whole[2:4].tolist(), whole[4:].tolist()]
    hour = pd.Timedelta(1, "h")
    assert [fold.seen_until for fold in cut] == [whole[0] - hour, whole[2] - hour, whole[4] - hour]
    assert [fold.fit_until for fold in cut] == [fold.seen_until - 10 * hour for fold in cut]


def test_rows_known_ahead_move_no_cutoff(make_table: Tables, make_job: Jobs) -> None:
    """Rows without a reading after the end, which only carry what is known ahead, are not the end."""
    job = make_job(train={"validation": 10}, backtest={"windows": 4})
    readings = np.arange(100.0)
    longer = make_table({"a": np.append(readings, [np.nan] * 24)})
    assert folds(longer, job)[0].cutoffs.equals(folds(make_table({"a": readings}), job)[0].cutoffs)


def test_nothing_after_the_first_cutoff_changes_a_fold(rich: tuple[pd.DataFrame, Job]) -> None:
    """Other readings, and other gaps, after the first cutoff give the same folds."""
    table, job = rich
    before = folds(table, job)
    changed, draw = table.copy(), np.random.default_rng(1)
    later = (table["ds"] > before[0].cutoffs[0]) & (table["ds"] < table["ds"].max())
    changed.loc[later, "y"] = draw.normal(size=later.sum())
    changed.loc[later & (draw.random(len(table)) < 0.5), "y"] = np.nan
    assert _same(folds(changed, job), before)


def _same(one: tuple[Fold, ...], other: tuple[Fold, ...]) -> bool:
    return [(f[0], f[1], f[2].tolist()) for f in one] == [(f[0], f[1], f[2].tolist()) for f in other]


def two_series(length: int, make_table: Tables) -> pd.DataFrame:
    """One series of this length, and one of 12 rows."""
    return make_table({"a": np.arange(length), "b": np.arange(12)})


def test_just_enough_history_gives_a_fold(make_table: Tables, make_job: Jobs) -> None:
    """Context 6, horizon 3 and 10 steps of validation need 19 rows before the first of 13 cutoffs: 34 in all."""
    job = make_job(train={"validation": 10}, backtest={"windows": 13})
    assert len(folds(two_series(34, make_table), job)) == 1


def test_too_short_a_history_is_refused_with_the_numbers(make_table: Tables, make_job: Jobs) -> None:
    """One row less than that."""
    job = make_job(train={"validation": 10}, backtest={"windows": 13})
    with pytest.raises(DataError, match=r"18 rows .* context 6 \+ horizon 3 \+ validation 10 need 19; shorten"):
        folds(two_series(33, make_table), job)


@pytest.mark.parametrize(
    ("start", "steps", "freq", "expected"),
    [
        ("2024-01-31", 1, "ME", "2024-02-29"),
        ("2024-03-31", -2, "ME", "2024-01-31"),
        ("2024-03-01", 1, "B", "2024-03-04"),
        ("2024-03-04", -1, "B", "2024-03-01"),
        ("2024-01-01 10:30", -24, "h", "2023-12-31 10:30"),
        ("2024-01-01 10:30", 0, "5min", "2024-01-01 10:30"),
    ],
)
def test_shift_walks_on_the_grid(start: str, steps: int, freq: str, expected: str) -> None:
    """Months end on their own last day, weekends are no business days, hours keep their minutes."""
    assert shift(pd.Timestamp(start), steps, freq) == pd.Timestamp(expected)


def test_past_includes_the_stamp_itself(make_table: Tables) -> None:
    """What is stamped at the moment is known at it, and nothing later."""
    assert past(make_table({"a": [1, 2, 3]}), pd.Timestamp("2024-01-01 01:00"))["y"].tolist() == [1, 2]
