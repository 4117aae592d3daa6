"""Cleaning puts a table in order, counts what it did, is done after one time; grids never look ahead."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from forecasting.config.series import Series
from forecasting.errors import DataError
from forecasting.series.clean import Cleaned, clean, regular_grid

NAN = np.nan


def table(hours: list[int], y: list[float], ids: str | list[str] = "a", **columns: Any) -> pd.DataFrame:
    """A long table at the given hours of 2024."""
    stamps = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(hours, unit="h")).astype("datetime64[us]")
    return pd.DataFrame({"unique_id": ids, "ds": stamps, "y": np.array(y, dtype=float)} | columns)


def run(frame: pd.DataFrame, **series: Any) -> Cleaned:
    """Clean `frame`, and see that cleaning it again changes nothing."""
    section = Series(**({"freq": "h", "min_length": 1} | series))
    cleaned = clean(frame, section)
    assert_frame_equal(clean(cleaned.table, section).table, cleaned.table)
    return cleaned


def counts(cleaned: Cleaned) -> dict[str, tuple[int, int]]:
    """Rows and series by decision."""
    return {row.decision: (row.count, row.series) for row in cleaned.decisions.itertuples(index=False)}


def test_rows_are_put_in_order() -> None:
    """By series, then by time; a step back is counted, series that alternate are not."""
    cleaned = run(table([1, 0, 0, 1], [2, 1, 3, 4], ["b", "a", "b", "a"]))
    assert_frame_equal(cleaned.table, table([0, 1, 0, 1], [1, 4, 3, 2], ["a", "a", "b", "b"]))
    assert counts(cleaned) == {"sorted": (1, 1)}


@pytest.mark.parametrize(
    ("policy", "y", "number", "label"),
    [("mean", 6.0, 2.0, "u"), ("first", 3.0, 1.0, "u"), ("last", 9.0, 3.0, "v"), ("sum", 12.0, 2.0, "u")],
)
def test_duplicate_policies(policy: str, y: float, number: float, label: str) -> None:
    """One row per stamp: the target by policy, numbers beside a mean or sum by their mean, labels by the first."""
    frame = table([0, 0, 1], [3, 9, 5], p=[1.0, 3.0, 7.0], c=["u", "v", "w"])
    cleaned = run(frame, duplicates=policy, past=("p", "c"), categorical=("c",))
    assert_frame_equal(cleaned.table, table([0, 1], [y, 5], p=[number, 7.0], c=[label, "w"]))
    assert counts(cleaned) == {"duplicates": (1, 1)}


def test_contradicting_rows_are_refused_and_repeated_rows_are_not() -> None:
    """The message says where and what to do; a row that repeats another says nothing new."""
    with pytest.raises(DataError, match=r"1 row\(s\) repeat a stamp[^:]*set series.duplicates") as error:
        run(table([0, 1, 1], [1, 2, 3]))
    assert error.value.violations == ("a at 2024-01-01 01:00:00",)
    cleaned = run(table([0, 1, 1], [1, 2, 2]))
    assert len(cleaned.table) == 2
    assert counts(cleaned) == {"identical_rows": (1, 1)}


def test_sum_adds_equal_amounts() -> None:
    """Two sales of 5 are 10; two missing amounts are missing; the bounds are those of the sum."""
    frame = table([0, 0, 1, 1, 2, 2, 3], [5, 5, NAN, NAN, 60, 60, 1])
    cleaned = run(frame, duplicates="sum", upper=100)
    assert_frame_equal(cleaned.table, table([0, 3], [10, 1]))
    assert counts(cleaned) == {"duplicates": (3, 1), "above_upper": (1, 1), "empty_rows": (2, 1)}


def test_readings_out_of_bounds_are_missing_before_they_spoil_a_mean() -> None:
    """A spike of a duplicated stamp is left out of its mean."""
    cleaned = run(table([0, 0, 1, 2], [10, 9999, -5, 20]), duplicates="mean", lower=0, upper=100)
    assert_frame_equal(cleaned.table, table([0, 2], [10, 20]))
    assert counts(cleaned)["above_upper"] == counts(cleaned)["below_lower"] == (1, 1)


def test_start_and_end_are_whole_spans() -> None:
    """A date names its whole day, a month its whole month."""
    cleaned = run(table([0, 23, 24, 47, 48, 800], [1, 2, 3, 4, 5, 6]), start="2024-01-02", end="2024-01-02")
    assert cleaned.table["y"].tolist() == [3, 4]
    assert counts(cleaned) == {"before_start": (2, 1), "after_end": (2, 1)}
    assert len(run(table([0, 743, 744], [1, 2, 3]), end="2024-01").table) == 2


def test_ends_without_reading_are_trimmed_and_known_ahead_rows_kept() -> None:
    """A row in the middle stays where it holds a covariate; the last rows stay where they say something ahead."""
    y = [NAN, 1, NAN, NAN, 2, NAN, NAN]
    cleaned = run(table(list(range(7)), y, f=[1.0, 1.0, 1.0, NAN, 1.0, 1.0, NAN]), future=("f",))
    assert cleaned.table["ds"].dt.hour.tolist() == [1, 2, 4, 5]
    assert counts(cleaned) == {"leading_missing": (1, 1), "trailing_missing": (1, 1), "empty_rows": (1, 1)}


def test_past_covariates_do_not_keep_trailing_rows() -> None:
    """They are not known ahead."""
    assert len(run(table([0, 1, 2], [1, 2, NAN], p=[1.0, 1.0, 1.0]), past=("p",)).table) == 2


def test_short_and_empty_series_are_left_out_and_counted() -> None:
    """Readings count, not rows."""
    frame = table([0, 1, 2, 0, 1, 0, 1], [1, 2, 3, 4, NAN, NAN, NAN], ["a"] * 3 + ["b"] * 2 + ["c"] * 2)
    cleaned = run(frame, min_length=2)
    assert cleaned.table["unique_id"].unique().tolist() == ["a"]
    assert counts(cleaned) == {"all_missing": (1, 1), "too_short": (1, 1)}


def test_nothing_left_is_an_error_with_the_reasons() -> None:
    """Why every series went."""
    with pytest.raises(DataError, match="no series is left after cleaning") as error:
        run(table([0], [1]), min_length=2)
    assert error.value.violations == ("series left out: fewer than 2 readings",)


def test_rows_without_key_or_with_infinite_reading_are_refused() -> None:
    """Nothing is left out in silence."""
    frame = table([0, 1, 2], [1, np.inf, 3])
    frame.loc[2, "unique_id"] = None
    with pytest.raises(DataError, match=r"2 row\(s\) have no unique_id, no ds or an infinite y"):
        run(frame)


def test_input_is_not_changed() -> None:
    """The caller's table stays what it was."""
    frame = table([1, 0, 0], [500, 1, 3])
    before = frame.copy(deep=True)
    run(frame, duplicates="mean", upper=100)
    assert_frame_equal(frame, before)


def grid(frame: pd.DataFrame, **series: Any) -> pd.DataFrame:
    """The regular grid of a table at hours."""
    return regular_grid(frame, Series(**({"freq": "h"} | series)))


def test_grid_has_every_step_of_every_series() -> None:
    """Each from its own first to its own last stamp; new rows are empty, static covariates repeated."""
    frame = table([0, 3, 1, 2], [1, 4, 5, 6], ["a", "a", "b", "b"], p=[1.0] * 4, s=["u", None, "v", "v"], t=[1.0] * 4)
    result = grid(frame, past=("p",), static=("s", "t"), categorical=("s",))
    expected = table([0, 1, 2, 3, 1, 2], [1, NAN, NAN, 4, 5, 6], ["a"] * 4 + ["b"] * 2)
    expected = expected.assign(p=[1, NAN, NAN, 1, 1, 1], s=["u"] * 4 + ["v"] * 2, t=1.0)
    assert_frame_equal(result, expected)


def test_complete_table_comes_back_as_it_is() -> None:
    """Nothing is copied where nothing is missing."""
    frame = table([0, 1, 2], [1, 2, 3])
    assert grid(frame) is frame


def test_fill_carries_the_last_reading_forward_up_to_the_last_one() -> None:
    """Never backward, never beyond the last reading, never from one series into the next."""
    frame = table([0, 1, 3, 4, 5, 0, 2], [NAN, 1, 3, NAN, NAN, NAN, 7], ["a"] * 5 + ["b"] * 2)
    result = grid(frame.assign(f=[NAN, 2, NAN, 4, 5, NAN, NAN]), gaps="fill", future=("f",))
    assert np.array_equal(result["y"], [NAN, 1, 1, 3, NAN, NAN, NAN, NAN, 7], equal_nan=True)
    assert np.array_equal(result["f"], [NAN, 2, 2, 2, 4, 5, NAN, NAN, NAN], equal_nan=True)


@pytest.mark.parametrize("hours", [[0, 2], [0, 1, 2]])
def test_refuse_names_the_gaps(hours: list[int]) -> None:
    """A step without a row and a row without a reading alike; rows ahead of the last reading are no gap."""
    y = [1, 2] if len(hours) == 2 else [1, NAN, 2]
    with pytest.raises(DataError, match=r"1 step.* of h have no reading") as error:
        grid(table(hours, y), gaps="refuse")
    assert error.value.violations == ("a at 2024-01-01 01:00:00",)
    assert len(grid(table([0, 1, 2], [1, 2, NAN], f=[1.0] * 3), gaps="refuse", future=("f",))) == 3


def test_stamps_off_the_grid_are_refused() -> None:
    """Instead of being moved."""
    frame = table([0, 1], [1, 2])
    frame.loc[1, "ds"] += pd.Timedelta(minutes=5)
    with pytest.raises(DataError, match=r"1 stamp\(s\) are off the grid of h") as error:
        grid(frame)
    assert error.value.violations == ("a at 2024-01-01 01:05:00",)


@pytest.mark.parametrize("freq", ["5min", "D", "B", "W-WED", "ME", "MS", "QE", "YS", "2h", "3ME", "2B", "BME"])
def test_grid_equals_that_of_pandas(freq: str) -> None:
    """Against `date_range` and `reindex`, series by series, with their own phase."""
    generator = np.random.default_rng(1)
    parts, expected = [], []
    for number in range(5):
        whole = pd.date_range(f"2020-0{number + 1}-03 0{number}:15", periods=60, freq=freq, unit="us")
        kept = np.unique(np.concatenate([[0, 59], generator.choice(60, 30)]))
        part = pd.DataFrame({"unique_id": f"s{number}", "ds": whole[kept], "y": generator.normal(size=len(kept))})
        parts.append(part)
        full = part.set_index("ds").reindex(whole).rename_axis("ds").reset_index().assign(unique_id=f"s{number}")
        expected.append(full[["unique_id", "ds", "y"]])
    result = grid(pd.concat(parts, ignore_index=True), freq=freq)
    assert_frame_equal(result, pd.concat(expected, ignore_index=True))


@settings(max_examples=60)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 6), st.sampled_from([NAN, 1.0, 2.0, 50.0, -50.0])),
        min_size=1,
        max_size=25,
    ),
    policy=st.sampled_from(["mean", "first", "last", "sum"]),
)
def test_cleaning_twice_changes_nothing(rows: list[tuple[str, int, float]], policy: str) -> None:
    """Whatever comes: the result is ordered, has unique keys, begins and ends with readings, and stays."""
    ids, hours, y = (list(column) for column in zip(*rows, strict=True))
    section = Series(freq="h", duplicates=policy, lower=0, upper=40, min_length=1)
    try:
        cleaned = clean(table(hours, y, ids), section).table
    except DataError:
        assert not any(0 <= value <= 40 for value in y) or policy in ("sum", "first", "last")
        return
    assert_frame_equal(clean(cleaned, section).table, cleaned)
    assert not cleaned.duplicated(["unique_id", "ds"]).any()
    assert_frame_equal(cleaned, cleaned.sort_values(["unique_id", "ds"], ignore_index=True))
    assert cleaned["y"].notna().all()


def test_the_latest_value_of_a_static_covariate_counts() -> None:
    """For all rows of its series, in one file as over many; others keep theirs, a missing value is no change."""
    frame = table([0, 1, 2, 0, 1, 2], [1, 2, 3, 4, 5, 6], ["a"] * 3 + ["b"] * 3, kind=["x", "y", None, "x", None, "x"])
    cleaned = run(frame, static=("kind",), categorical=("kind",))
    assert cleaned.table["kind"].where(cleaned.table["kind"].notna(), "").tolist() == ["y", "y", "y", "x", "", "x"]
    assert counts(cleaned)["static_changed"] == (1, 1)
