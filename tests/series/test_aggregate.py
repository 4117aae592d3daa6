"""Readings at irregular times become steps: each ends at its stamp, and none knows what comes after it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from forecasting.config.job import Job
from forecasting.config.series import Series
from forecasting.errors import ConfigError
from forecasting.evaluation.leakage import audit
from forecasting.series.aggregate import step_ends
from forecasting.series.clean import clean
from forecasting.series.validate import validate

KINDS = ("mean", "sum", "last", "min", "max", "count")


def sensor(stamps: list[str], y: list[float], **columns: Any) -> pd.DataFrame:
    """A long table of the sensor `a`."""
    ds = pd.Series(pd.to_datetime(stamps, format="ISO8601")).astype("datetime64[us]")
    return pd.DataFrame({"unique_id": "a", "ds": ds, "y": np.array(y, dtype=float)} | columns)


def steps(table: pd.DataFrame, freq: str = "5min", **series: Any) -> dict[str, float]:
    """Cleaned readings by stamp; cleaning again changes nothing."""
    section = Series(**({"freq": freq, "aggregate": "mean", "min_length": 1} | series))
    cleaned = clean(table, section).table
    assert_frame_equal(clean(cleaned, section).table, cleaned)
    return dict(zip(cleaned["ds"].astype(str), cleaned["y"], strict=True))


DAY = ["2024-01-01 10:00:03", "2024-01-01 10:04:00", "2024-01-01 10:05:00", "2024-01-01 10:05:01"]
LATER = ["2024-01-01 10:20:00", "2024-01-01 10:21:08"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("mean", [3.0, 9.0, 5.0]),
        ("sum", [9.0, 9.0, 5.0]),
        ("last", [2.0, 9.0, 5.0]),
        ("min", [1.0, 9.0, 5.0]),
        ("max", [6.0, 9.0, 5.0]),
    ],
)
def test_a_step_ends_at_its_stamp(kind: str, expected: list[float]) -> None:
    """A reading on the stamp belongs to the step that ends there; the last step is not over, and has none yet."""
    found = steps(sensor(DAY + LATER, [1, 6, 2, 9, 5, 7]), aggregate=kind)
    stamps = ["2024-01-01 10:05:00", "2024-01-01 10:10:00", "2024-01-01 10:20:00"]
    assert found == dict(zip(stamps, expected, strict=True))


def test_a_step_without_events_counts_none() -> None:
    """Between the first and the last reading, 0 is a count like any other."""
    found = steps(sensor(DAY + LATER, [1, 6, 2, 9, 5, 7]), aggregate="count")
    assert list(found.values()) == [3.0, 1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("freq", "stamps", "expected"),
    [
        ("D", ["2024-03-01 00:00", "2024-03-01 23:59", "2024-03-02 08:00"], ["2024-03-01", "2024-03-01", "2024-03-02"]),
        ("W-SUN", ["2024-03-04", "2024-03-10 23:00", "2024-03-11"], ["2024-03-10", "2024-03-10", "2024-03-17"]),
        ("ME", ["2024-02-01", "2024-02-29 12:00", "2024-03-01"], ["2024-02-29", "2024-02-29", "2024-03-31"]),
        ("B", ["2024-03-08", "2024-03-09", "2024-03-11"], ["2024-03-08", "2024-03-11", "2024-03-11"]),
        ("15min", ["2024-03-01 00:00:00.1", "2024-03-01 00:15"], ["2024-03-01 00:15", "2024-03-01 00:15"]),
    ],
)
def test_steps_of_days_and_longer_hold_whole_days(freq: str, stamps: list[str], expected: list[str]) -> None:
    """Against calendars worked out by hand: dates are days, the others intervals that end at their stamp."""
    found = step_ends(pd.Series(pd.to_datetime(stamps, format="ISO8601")).astype("datetime64[us]"), freq)
    assert [pd.Timestamp(stamp) for stamp in found] == [pd.Timestamp(text) for text in expected]


def test_steps_of_two_weeks_do_not_depend_on_where_a_table_begins() -> None:
    """The same reading belongs to the same step, whatever came before."""
    ds = pd.Series(pd.date_range("2024-01-01", periods=60, freq="D", unit="us"))
    assert (step_ends(ds, "2W-SUN")[20:] == step_ends(ds[20:], "2W-SUN")).all()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20)
@given(draw=st.integers(0, 10**6))
def test_no_step_sees_a_reading_after_it(kind: str, draw: int) -> None:
    """Other readings after a cutoff, and none at all, leave every step up to the cutoff as it was."""
    random = np.random.default_rng(draw)
    seconds = np.sort(random.choice(7200, 200, replace=False))
    stamps = [str(pd.Timestamp("2024-01-01") + pd.Timedelta(seconds=int(second))) for second in seconds]
    table = sensor(stamps, random.normal(size=200).tolist())
    cutoff = pd.Timestamp("2024-01-01 01:00")
    others = table.assign(y=table["y"].mask(table["ds"] > cutoff, 1e6))
    fewer = pd.concat([table[table["ds"] <= cutoff], others[others["ds"] > cutoff].iloc[-1:]])
    before = [
        {stamp: y for stamp, y in steps(each, aggregate=kind).items() if pd.Timestamp(stamp) <= cutoff}
        for each in (table, others, fewer)
    ]
    assert before[0] == before[1] == before[2]
    assert before[0]


def test_the_leak_audit_gathers_too(make_job: Callable[..., Job]) -> None:
    """The whole audit on a jittered, gappy sensor finds nothing that knows its future."""
    random = np.random.default_rng(3)
    minutes = np.arange(0, 60 * 150, 6)
    minutes = minutes[(minutes < 3000) | (minutes > 3200)]
    late = pd.to_timedelta(minutes * 60 + random.integers(0, 9, len(minutes)), unit="s")
    table = sensor(
        [str(pd.Timestamp("2024-01-01") + delay) for delay in late], random.normal(size=len(minutes)).tolist()
    )
    job = make_job({"aggregate": "mean"}, backtest={"windows": 4}, train={"validation": 20})
    assert [finding for finding in audit(table, job, []) if finding.moved] == []


def test_covariates_are_gathered_beside_the_readings() -> None:
    """Numbers become their mean, labels the last, static ones stay; bounds hold for the readings of a mean."""
    frame = sensor(DAY + LATER, [1, -200, 2, 9, 5, 7], p=[1.0, 2.0, 6.0, 4.0, 5.0, 6.0], c=list("uvwxyz"), s=3.0)
    section = Series(
        freq="5min", aggregate="mean", lower=0, past=("p", "c"), static=("s",), categorical=("c",), min_length=1
    )
    found = clean(frame, section)
    assert found.table["y"].tolist() == [1.5, 9.0, 5.0]
    assert found.table["p"].tolist() == [3.0, 4.0, 5.0]
    assert found.table["c"].tolist() == ["w", "x", "y"]
    assert found.table["s"].tolist() == [3.0, 3.0, 3.0]
    made = {row.decision: row.count for row in found.decisions.itertuples(index=False)}
    assert made == {"below_lower": 1, "open_step": 1, "aggregated": 5, "trailing_missing": 1}


def test_the_bounds_of_a_sum_are_its_own() -> None:
    """Single amounts may be small where their sum must not be."""
    frame = sensor(DAY + LATER, [1, 6, 2, 9, 5, 7])
    found = steps(frame, aggregate="sum", upper=8.0)
    assert found == {"2024-01-01 10:20:00": 5.0}


def test_the_validator_names_the_way_out_and_then_accepts() -> None:
    """Stamps off the grid are an error without `aggregate`, and none with it; gaps are counted in steps."""
    frame = sensor(DAY + LATER, [1, 6, 2, 9, 5, 7])
    refused = {violation.rule: violation for violation in validate(frame, Series(freq="5min")).violations}
    assert "series.aggregate" in refused["off_grid"].message
    accepted = {v.rule: v for v in validate(frame, Series(freq="5min", aggregate="mean")).violations}
    assert set(accepted) == {"gaps"}
    assert accepted["gaps"].count == 1


@pytest.mark.parametrize(
    ("freq", "ends"), [("MS", "ME"), ("2QS-FEB", "2QE-JAN"), ("YS-JAN", "YE-DEC"), ("SMS", "SME"), ("BYS", "BYE")]
)
def test_stamps_that_begin_a_step_cannot_end_it(freq: str, ends: str, make_job: Callable[..., Job]) -> None:
    """The message names the frequency whose stamps end the same steps."""
    with pytest.raises(ConfigError, match=f"set freq to {ends}"):
        make_job({"freq": freq, "aggregate": "sum"})
