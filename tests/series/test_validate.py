"""Every violation of a table is found, counted, shown with rows and series, all at once."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.config.series import Series
from forecasting.errors import ConfigError, DataError
from forecasting.series.validate import ValidationReport, Violation, validate


def table(stamps: list[str] | pd.DatetimeIndex, y: list[float], ids: str | list[str] = "a", **columns: Any):
    """A long table of the given columns."""
    content = {"unique_id": ids, "ds": pd.DatetimeIndex(stamps).as_unit("us"), "y": np.array(y, dtype=float)}
    return pd.DataFrame(content | columns)


def hourly(y: list[float], ids: str = "a", **columns: Any) -> pd.DataFrame:
    """A regular hourly series."""
    return table(pd.date_range("2024-01-01", periods=len(y), freq="h"), y, ids, **columns)


def found(report: ValidationReport) -> dict[str, Violation]:
    """The violations by rule."""
    return {violation.rule: violation for violation in report.violations}


def check(frame: pd.DataFrame, **series: Any) -> dict[str, Violation]:
    """The violations of `frame` by rule."""
    return found(validate(frame, Series(**({"freq": "h"} | series))))


def test_regular_table_has_no_violation() -> None:
    """And its report says how much was looked at."""
    report = validate(hourly([1, 2, 3]), Series(freq="h"))
    assert report == ValidationReport((), 3, 1)
    report.raise_for_errors()


def test_empty_table_is_an_error() -> None:
    """Nothing else is judged."""
    assert list(check(hourly([])[:0])) == ["empty"]


def test_missing_columns_and_wrong_types_come_together() -> None:
    """The structure is judged as a whole, before any value."""
    frame = hourly([1, 2]).drop(columns="ds").assign(y=["a", "b"], p=["x", "y"])
    report = validate(frame, Series(freq="h", past=("p", "q")))
    assert sorted((v.rule, v.severity) for v in report.violations) == [
        ("missing_column", "error"),
        ("missing_column", "error"),
        ("wrong_type", "error"),
        ("wrong_type", "error"),
    ]
    text = " ".join(violation.message for violation in report.violations)
    assert "column ds is missing" in text
    assert "column q is missing" in text
    assert "column y is str, expected float64" in text
    assert "column p is str" in text


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("unique_id", pd.Series(["a", None], dtype="str")),
        ("unique_id", pd.Series(["a", None], dtype=object)),
        ("unique_id", pd.Series(["a", None], dtype="string")),
        ("ds", pd.Series(pd.to_datetime(["2024-01-01", "2024-01-02"])).astype("datetime64[ns]")),
        ("ds", pd.Series(pd.to_datetime(["2024-01-01", "2024-01-02"])).astype("datetime64[s]")),
        ("y", pd.Series([1.0, None], dtype="Float64")),
    ],
)
def test_every_text_timestamp_and_64_bit_float_is_accepted(column: str, values: pd.Series) -> None:
    """Whatever pandas calls it."""
    assert "wrong_type" not in check(hourly([1, 2]).assign(**{column: values}))


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("unique_id", pd.Series(["a", 1], dtype=object), "column unique_id is object, expected str"),
        ("unique_id", pd.Series(["a", "b"], dtype="category"), "column unique_id is category, expected str"),
        ("ds", ["2024-01-01", "2024-01-02"], "column ds is str, expected datetime64[us]"),
        ("ds", pd.date_range("2024", periods=2, tz="UTC", unit="us"), "is datetime64[us, UTC], expected"),
        ("y", np.array([1, 2]), "column y is int64, expected float64"),
        ("y", np.array([1, 2], dtype="float32"), "column y is float32, expected float64"),
    ],
)
def test_any_other_type_is_an_error_that_names_both(column: str, values: Any, message: str) -> None:
    """It counts for all rows."""
    wrong = check(hourly([1, 2]).assign(**{column: values}))["wrong_type"]
    assert (wrong.severity, wrong.count) == ("error", 2)
    assert message in wrong.message


def test_table_without_identifiers_still_shows_its_bad_rows() -> None:
    """They then have no series."""
    rules = check(hourly([1, np.inf]).drop(columns="unique_id"))
    assert "unique_id" in rules["missing_column"].message
    assert (rules["infinite"].rows, rules["infinite"].ids) == ((1,), ())


def test_missing_keys_and_infinite_values_show_their_rows() -> None:
    """Rows count from 0."""
    frame = hourly([1, np.inf, 3, -np.inf], p=[0.0, 1.0, np.inf, 0.0])
    frame.loc[0, "unique_id"] = None
    frame.loc[2, "ds"] = pd.NaT
    rules = [(v.rule, v.count, v.rows) for v in validate(frame, Series(freq="h", past=("p",))).errors]
    assert rules[:4] == [
        ("missing_unique_id", 1, (0,)),
        ("missing_ds", 1, (2,)),
        ("infinite", 2, (1, 3)),
        ("infinite", 1, (2,)),
    ]


def test_readings_outside_the_bounds_are_warned_of() -> None:
    """The bounds themselves are inside."""
    rules = check(hourly([0, -1, 10, 11, 12]), lower=0, upper=10)
    assert (rules["below_lower"].severity, rules["below_lower"].count, rules["below_lower"].rows) == (
        "warning",
        1,
        (1,),
    )
    assert (rules["above_upper"].count, rules["above_upper"].rows) == (2, (3, 4))


def test_rows_that_step_back_are_noted_per_series() -> None:
    """Two series that alternate are in order; a step back within one is not."""
    both = pd.concat([hourly([1, 2, 3], "a"), hourly([1, 2, 3], "b")], ignore_index=True)
    assert not check(both.sort_values("ds", kind="stable", ignore_index=True))
    rules = check(both.iloc[[0, 2, 1, 3, 4, 5]].reset_index(drop=True))
    assert (rules["unsorted"].severity, rules["unsorted"].count, rules["unsorted"].rows) == ("note", 1, (2,))
    assert rules["unsorted"].ids == ("a",)


@pytest.mark.parametrize(("policy", "severity"), [("refuse", "error"), ("mean", "warning")])
def test_duplicates_tell_whole_rows_from_contradictions(policy: str, severity: str) -> None:
    """A row that says the same again is no contradiction."""
    frame = table(["2024-01-01 00:00", "2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 01:00"], [1, 1, 2, 3])
    rules = check(frame, duplicates=policy)
    assert (rules["identical_rows"].severity, rules["identical_rows"].rows) == ("warning", (1,))
    assert (rules["duplicates"].severity, rules["duplicates"].count, rules["duplicates"].rows) == (severity, 1, (3,))
    assert "2024-01-01 01:00:00" in rules["duplicates"].message


@pytest.mark.parametrize(
    ("stamps", "freq", "off", "fit"),
    [
        (["2024-01-01 00:00", "2024-01-01 01:05", "2024-01-01 02:00", "2024-01-01 03:00"], "h", (1,), "5min"),
        (["2024-01-31", "2024-02-29", "2024-03-30", "2024-04-30"], "ME", (2,), "D"),
        (["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01"], "ME", (0, 1, 2, 3), "MS"),
        (["2024-01-05", "2024-01-06", "2024-01-08", "2024-01-09"], "B", (1,), "D"),
        (["2024-01-03", "2024-01-10", "2024-01-17", "2024-01-24"], "W-SUN", (0, 1, 2, 3), "W-WED"),
        (["2024-03-31", "2024-06-30", "2024-09-30", "2024-12-31"], "QS", (0, 1, 2, 3), "QE-DEC"),
        (["2021-12-31", "2022-12-31", "2023-12-31", "2024-12-31"], "YS", (0, 1, 2, 3), "YE-DEC"),
        (["2024-01-01", "2024-02-01", "2024-03-01", "2024-05-01"], "2MS", (1,), "MS"),
        (["2024-01-01 00:00:00.5", "2024-01-01 01:00", "2024-01-01 02:00", "2024-01-01 03:00"], "h", (0,), "500ms"),
    ],
)
def test_stamps_off_the_grid_name_the_frequency_that_would_fit(
    stamps: list[str], freq: str, off: tuple[int, ...], fit: str
) -> None:
    """Against calendars worked out by hand."""
    rules = check(table(pd.to_datetime(stamps, format="ISO8601"), [1, 2, 3, 4]), freq=freq)
    assert rules["off_grid"].rows == off
    assert rules["off_grid"].severity == "error"
    assert f"freq {fit.removesuffix('-DEC')}" in rules["off_grid"].message


@pytest.mark.parametrize(
    "freq", ["h", "5min", "D", "B", "W-WED", "ME", "MS", "QE", "QS", "YE", "YS", "2h", "2D", "3ME", "2W-SUN", "BME"]
)
def test_grids_of_pandas_have_no_violation(freq: str) -> None:
    """Whatever `date_range` makes is regular, from any series' own beginning, at any time of the day."""
    whole = pd.date_range("2021-03-05 00:30", periods=41, freq=freq)
    both = pd.concat([table(whole, list(range(41)), "a"), table(whole[1:30], list(range(29)), "b")])
    assert not check(both, freq=freq)


@pytest.mark.parametrize(("gaps", "severity"), [("mask", "warning"), ("refuse", "error")])
def test_gaps_are_counted_in_steps_between_readings(gaps: str, severity: str) -> None:
    """Two holes of one and of three hours; rows without reading at the ends are no holes, in the middle they are."""
    frame = hourly([np.nan, 1, 2, 3, np.nan, 5, 6, 7, 8, 9, np.nan, 11])
    rules = check(frame.drop([1, 3, 6, 7, 8, 10]), gaps=gaps)
    assert (rules["gaps"].count, rules["gaps"].severity, rules["gaps"].ids) == (1 + 3 + 1, severity, ("a",))
    assert "the longest of 3 between 2024-01-01 05:00:00 and 2024-01-01 09:00:00" in rules["gaps"].message
    assert (rules["leading_missing"].rows, rules["leading_missing"].severity) == ((0,), "note")
    assert (rules["missing_readings"].count, rules["missing_readings"].severity) == (1, severity)


def test_holidays_are_gaps_of_business_days() -> None:
    """A trading table just lacks them."""
    rules = check(table(["2023-12-22", "2023-12-26", "2023-12-27"], [1, 2, 3]), freq="B")
    assert rules["gaps"].count == 1
    assert set(rules) == {"gaps"}


def test_trailing_rows_with_known_ahead_covariates_are_no_violation() -> None:
    """They are what a forecast needs; a row with nothing is noted."""
    frame = hourly([1, 2, np.nan, np.nan], f=[0.0, 1.0, 2.0, np.nan])
    rules = check(frame, future=("f",))
    assert (rules["trailing_missing"].rows, len(rules)) == ((3,), 1)


def test_series_levels_are_judged_one_by_one() -> None:
    """Constant, too short and all-missing series are warned of while another one remains."""
    frame = pd.concat(
        [hourly([1, 2, 3], "good"), hourly([5, 5, 5], "flat"), hourly([1], "one"), hourly([np.nan] * 2, "none")],
        ignore_index=True,
    )
    rules = check(frame, min_length=2)
    assert {name: rules[name].ids for name in ("constant", "too_short", "all_missing")} == {
        "constant": ("flat",),
        "too_short": ("one",),
        "all_missing": ("none",),
    }
    assert not [violation for violation in rules.values() if violation.severity == "error"]


@pytest.mark.parametrize("y", [[np.nan, np.nan], [1.0], [500.0, 600.0]])
def test_nothing_usable_is_an_error(y: list[float]) -> None:
    """All readings missing, too few of them, or all out of bounds."""
    assert check(hourly(y), upper=400)["nothing_left"].severity == "error"


def test_covariates_must_be_static_or_known() -> None:
    """A static covariate that varies and a hole in a known-ahead one are warnings."""
    frame = hourly([1, 2, 3, np.nan], s=["u", "u", "v", "u"], f=[1.0, np.nan, 3.0, np.nan])
    rules = check(frame, static=("s",), categorical=("s",), future=("f",))
    assert (rules["static_varies"].severity, rules["static_varies"].ids) == ("warning", ("a",))
    assert (rules["future_missing"].severity, rules["future_missing"].rows) == ("warning", (1,))


def test_rows_outside_start_and_end_are_not_judged() -> None:
    """They are left out anyway; a date stands for its whole day."""
    frame = table(["2023-12-31 23:59", "2024-01-01 00:00", "2024-01-01 01:00", "2024-01-02 00:01"], [1, 2, 3, 4])
    assert not check(frame, start="2024-01-01", end="2024-01-01")
    with pytest.raises(ConfigError, match=r"series.end 'soon' is no date"):
        check(frame, end="soon")


def test_at_most_ten_examples_are_kept() -> None:
    """A report of a million violations stays readable; the count is whole."""
    frame = pd.concat([hourly([1, 99], f"s{number:02d}") for number in range(30)], ignore_index=True)
    above = check(frame, upper=10)["above_upper"]
    assert (above.count, len(above.rows), len(above.ids)) == (30, 10, 10)


def test_report_as_table_as_json_and_as_error() -> None:
    """Three forms of the same facts; the error lists errors only, all of them."""
    frame = table(["2024-01-01 00:00", "2024-01-01 00:00", "2024-01-01 01:30"], [1, 2, 99], s=[1.0, 2.0, 3.0])
    report = validate(frame, Series(freq="h", upper=10, static=("s",)))
    rules = [violation.rule for violation in report.violations]
    assert report.table()["rule"].tolist() == rules
    assert [entry["rule"] for entry in json.loads(report.to_json())["violations"]] == rules
    with pytest.raises(DataError) as error:
        report.raise_for_errors()
    assert len(error.value.violations) == len(report.errors) == 2
    assert "above" not in str(error.value)


def test_stamps_of_no_century_are_an_error_and_nothing_else_is_judged() -> None:
    """Tables that come without a file, over HTTP or from Python, are held to the same years."""
    rules = check(table(np.array(["2024-01-01", "55969-09-28"], "datetime64[us]"), [1, 2]))
    assert set(rules) == {"outside_years"}
    assert (rules["outside_years"].severity, rules["outside_years"].rows) == ("error", (1,))


@pytest.mark.parametrize(
    ("stamps", "row", "key"),
    [
        ([*pd.date_range("2024-01-01", periods=120), "2034-05-30"], 120, "end"),
        (["1970-01-01", *pd.date_range("2024-01-01", periods=120)], 0, "start"),
        ([*pd.date_range("2024-01-01", periods=120), "2034-05-30", "2034-05-31"], 121, "end"),
    ],
)
def test_readings_far_from_all_others_are_named(stamps: list[Any], row: int, key: str) -> None:
    """One row in 2034 after four months, or in 1970 before them, is told with its stamp and the gap."""
    frame = table(stamps, range(len(stamps)))
    stray = check(frame, freq="D")["stray"]
    assert (stray.severity, stray.rows) == ("warning", (row,))
    assert str(frame["ds"][row]) in stray.message
    assert f"series.{key}" in stray.message


def test_readings_after_an_outage_are_no_strays() -> None:
    """A gap that is shorter than the series, a series of few readings: nothing to be told."""
    days = [*pd.date_range("2024-01-01", periods=100), *pd.date_range("2024-06-01", periods=2)]
    assert "stray" not in check(table(days, range(102)), freq="D")
    assert "stray" not in check(table(["2024-01-01", "2024-01-02", "2030-01-01"], [1, 2, 3]), freq="D")


def test_a_step_that_most_readings_keep_is_named_in_place_of_gaps() -> None:
    """Hourly readings under 15min: not thousands of gaps to be puzzled by, but the frequency that fits."""
    stamps = [stamp for stamp in pd.date_range("2024-01-01", periods=200, freq="h") if stamp.day != 3]
    gaps = check(table(stamps, range(len(stamps))), freq="15min")["gaps"]
    assert gaps.count == 199 * 4 - len(stamps) + 1
    assert "most readings lie 4 steps of 15min apart: series.freq: h would fit" in gaps.message


def test_no_fine_grid_is_advised_for_readings_that_come_late() -> None:
    """Every whole second lies on a grid of seconds; following that advice 99 % of the steps would be missing."""
    draw = np.random.default_rng(1)
    stamps = pd.date_range("2024-01-01", periods=50, freq="5min") + pd.to_timedelta(draw.integers(0, 9, 50), unit="s")
    off = check(table(list(stamps), range(50)), freq="5min")["off_grid"]
    assert "freq s" not in off.message


@pytest.mark.parametrize("freq", ["QE-FEB", "QS-MAR", "YE-JUN", "YS-APR"])
def test_fiscal_steps_are_found(freq: str) -> None:
    """Quarters and years that end in any month have a frequency of their own."""
    stamps = pd.date_range("2010-01-01", periods=12, freq=freq)
    wrong = "ME" if "S" in freq else "MS"
    assert f"freq {freq}" in check(table(list(stamps), range(12)), freq=wrong)["off_grid"].message
