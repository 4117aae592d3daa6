"""Stamps of every kind become the dates they mean, or one sentence names the row."""

from pathlib import Path

import pandas as pd
import pytest

from forecasting.config.series import Series
from forecasting.config.source import FileSource
from forecasting.errors import SourceError
from forecasting.sources import SOURCES
from forecasting.sources.parsing.stamps import Clock, to_utc


def read(values: list[object], freq: str, *, formats: tuple[str, ...] = (), zone: str | None = None) -> list[str]:
    """The stamps of one series as they print; unreadable ones fail the test."""
    stamps, problems = stamps_of(values, freq, formats=formats, zone=zone)
    assert not problems
    return [str(stamp) for stamp in stamps]


def stamps_of(
    values: list[object], freq: str, *, formats: tuple[str, ...] = (), zone: str | None = None
) -> tuple[pd.Series, list[str]]:
    """Stamps and problems; the first row is called 2, as in a file with a header."""
    raw = pd.Series(values)
    raw.index += 2
    return to_utc(raw, pd.Series("a", index=raw.index), Clock(formats, zone, freq))


ZONED = pd.date_range("2024-03-30", periods=3, freq="D", tz="Europe/Berlin")


@pytest.mark.parametrize(
    "values",
    [
        list(ZONED),
        [stamp.isoformat() for stamp in ZONED],
        [str(stamp) for stamp in ZONED],
        [stamp.strftime("%Y-%m-%d %H:%M:%S %z") for stamp in ZONED],
    ],
)
def test_daily_stamps_with_a_zone_keep_their_local_date(values: list[object]) -> None:
    """Midnight in Berlin is 23:00 or 22:00 of the day before in UTC: the date is the one that is written."""
    assert read(values, "D") == ["2024-03-30 00:00:00", "2024-03-31 00:00:00", "2024-04-01 00:00:00"]


def test_a_zoned_parquet_column_of_days_gives_local_dates(tmp_path: Path) -> None:
    """In winter alone every stamp lies on the grid of 23:00, so nothing but the dates would show the mistake."""
    ds = pd.date_range("2023-11-01", periods=30, freq="D", tz="Europe/Berlin")
    pd.DataFrame({"ds": ds, "y": 1.0}).to_parquet(tmp_path / "a.parquet")
    table = SOURCES["file"](FileSource(path=str(tmp_path / "a.parquet")), Series(freq="D"), "j")
    assert table["ds"].tolist() == list(ds.tz_localize(None))


def test_a_layout_with_an_offset_keeps_the_date_that_is_written() -> None:
    """A layout of strptime may hold the distance from UTC, too."""
    assert read(["01.02.2024 +0100"], "D", formats=("%d.%m.%Y %z",)) == ["2024-02-01 00:00:00"]


@pytest.mark.parametrize(
    ("values", "formats"),
    [
        (["2024-01-01T23:00:00Z", "2024-07-01 22:00:00+00:00"], ()),
        (["1704150000", "1719871200"], ("unix",)),
        (list(pd.to_datetime(["2024-01-01T23:00Z", "2024-07-01T22:00Z"])), ()),
    ],
)
def test_moments_that_begin_no_day_want_a_zone(values: list[object], formats: tuple[str, ...]) -> None:
    """Midnights of Berlin in UTC: without the zone they are refused by row, with it they are the local dates."""
    _, problems = stamps_of(values, "D", formats=formats)
    assert len(problems) == 1
    assert "row 2" in problems[0]
    assert "source.time_zone" in problems[0]
    assert read(values, "D", formats=formats, zone="Europe/Berlin") == ["2024-01-02 00:00:00", "2024-07-02 00:00:00"]


def test_milliseconds_read_as_seconds_are_refused(tmp_path: Path) -> None:
    """The year 55969 is nobody's: the sentence names rows and asks for milliseconds, with which they are read."""
    path = tmp_path / "a.csv"
    path.write_text("ds,y\n1704067200000,19.5\n1704070800000,20.5\n")
    with pytest.raises(SourceError, match=r"row 2 '1704067200000'.*year 55969.*source.date_format: unix_ms"):
        SOURCES["file"](FileSource(path=str(path), date_format="unix"), Series(freq="h"), "j")
    assert read(["1704067200000"], "h", formats=("unix_ms",)) == ["2024-01-01 00:00:00"]


@pytest.mark.parametrize("value", ["9999-12-31", "0024-01-31", "1699-12-31", "2250-01-02"])
def test_stamps_outside_the_years_that_are_meant_are_refused(value: str) -> None:
    """A placeholder for "never" or a year of two digits is named by its row, whatever the format."""
    stamps, problems = stamps_of(["2024-01-01", value], "D")
    assert len(problems) == 1
    assert f"row 3 '{value}'" in problems[0]
    assert stamps.isna().tolist() == [False, True]


def test_counts_beyond_any_calendar_are_refused_by_row() -> None:
    """A number that no date can hold is no traceback."""
    _, problems = stamps_of(["1704067200", "1e30", "-1e30", "inf"], "h", formats=("unix",))
    assert len(problems) == 1
    assert problems[0].startswith("3 stamp(s) outside the years 1700 to 2250: row 3 '1e30'")


@pytest.mark.parametrize(
    ("freq", "expected"),
    [
        ("QS", ["2024-01-01", "2024-04-01", "2024-07-01", "2024-10-01"]),
        ("QE", ["2024-03-31", "2024-06-30", "2024-09-30", "2024-12-31"]),
        ("QE-JUN", ["2024-03-31", "2024-06-30", "2024-09-30", "2024-12-31"]),
        ("BQE", ["2024-03-29", "2024-06-28", "2024-09-30", "2024-12-31"]),
        ("BQS", ["2024-01-01", "2024-04-01", "2024-07-01", "2024-10-01"]),
    ],
)
def test_labels_of_quarters_are_the_dates_of_their_frequency(freq: str, expected: list[str]) -> None:
    """However a quarter is written, its date is the one that `freq` calls it by."""
    labels = ["2024Q1", "Q2 2024", "2024-Q3", "q4/2024"]
    assert read(labels, freq) == [f"{date} 00:00:00" for date in expected]


@pytest.mark.parametrize(
    ("freq", "label"), [("QS-FEB", "2024Q1"), ("D", "2024Q1"), ("QS", "2024Q5"), ("W", "2023-W53")]
)
def test_labels_that_say_no_single_date_are_named(freq: str, label: str) -> None:
    """A quarter of a fiscal year, or of daily data, or one that there is not."""
    _, problems = stamps_of([label], freq)
    assert f"row 2 '{label}'" in problems[0]


def test_labels_of_iso_weeks_are_the_dates_of_their_frequency() -> None:
    """Week 1 of 2024 begins on Monday the first; week 53 of 2020 ends in the year after."""
    assert read(["2024-W01", "2020W53"], "W") == ["2024-01-07 00:00:00", "2021-01-03 00:00:00"]
    assert read(["2024-W01", "2020W53"], "W-MON") == ["2024-01-01 00:00:00", "2020-12-28 00:00:00"]
