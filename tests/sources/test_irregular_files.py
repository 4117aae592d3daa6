"""Irregular files of the real world go through from file to grid with hand-checked counts, or are refused clearly."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.config.series import Series
from forecasting.config.source import FileSource
from forecasting.errors import DataError, SourceError
from forecasting.series.clean import Cleaned, clean, regular_grid
from forecasting.series.validate import ValidationReport, validate
from forecasting.sources import SOURCES


@dataclass(frozen=True)
class Passed:
    """What each step made of a file."""

    table: pd.DataFrame
    report: ValidationReport
    cleaned: Cleaned
    grid: pd.DataFrame

    def counts(self) -> dict[str, int]:
        """Violations by rule."""
        return {violation.rule: violation.count for violation in self.report.violations}


@pytest.fixture
def take(datasets: Path) -> Any:
    """Read a file as a source."""

    def read(path: str, columns: dict[str, Any], series: dict[str, Any], **source: Any) -> pd.DataFrame:
        settings = FileSource(path=str(datasets / path), columns=columns, **source)
        return SOURCES["file"](settings, Series(**series), "job")

    return read


@pytest.fixture
def through(take: Any) -> Any:
    """Take a file through all steps."""

    def run(path: str, columns: dict[str, Any], series: dict[str, Any], **source: Any) -> Passed:
        table, section = take(path, columns, series, **source), Series(**series)
        report = validate(table, section)
        report.raise_for_errors()
        cleaned = clean(table, section)
        return Passed(table, report, cleaned, regular_grid(cleaned.table, section))

    return run


AEP = ("load/AEP_hourly.csv.gz", {"ds": "Datetime", "y": "AEP_MW"})


def test_aep_is_refused_for_its_four_contradicting_hours(through: Any) -> None:
    """Four autumn hours hold two readings each."""
    with pytest.raises(DataError) as error:
        through(*AEP, {"freq": "h"})
    (violation,) = error.value.violations
    assert violation.startswith("4 row(s) repeat a stamp of their series with other values, e.g. 2014-11-02 02:00:00")
    assert "set series.duplicates to mean, first, last or sum" in violation


def test_aep_goes_through_with_means(through: Any) -> None:
    """121,273 rows in blocks of days; 27 hours missing; the two readings of 2014-11-02 02:00 become their mean."""
    passed = through(*AEP, {"freq": "h", "duplicates": "mean"})
    assert len(passed.table) == 121_273
    assert passed.counts() == {"unsorted": 5039, "duplicates": 4, "gaps": 27}
    assert len(passed.cleaned.table) == 121_269
    assert len(passed.grid) == 121_296
    assert passed.grid["y"].isna().sum() == 27
    twice = passed.table["ds"] == "2014-11-02 02:00"
    merged = passed.grid.loc[passed.grid["ds"] == "2014-11-02 02:00", "y"].item()
    assert merged == passed.table.loc[twice, "y"].sum() / 2
    ds = passed.grid["ds"].to_numpy()
    assert (np.diff(ds) == np.timedelta64(1, "h")).all()


def test_aep_is_refused_in_a_time_zone_whose_spring_hours_it_holds(take: Any) -> None:
    """Its stamps mark the end of the hour: 2 o'clock exists in every spring but 2004's, which it does not cover."""
    with pytest.raises(SourceError, match=r"14 stamp\(s\) do not exist in America/New_York.*row 8737 '2005-04-03 02"):
        take(*AEP, {"freq": "h"}, time_zone="America/New_York")


METRO = ("traffic/Metro_Interstate_Traffic_Volume.csv.gz", {"ds": "date_time", "y": "traffic_volume"})


def test_metro_repeats_each_reading_per_weather_report(through: Any) -> None:
    """7,629 duplicated stamps, all with the same volume: without the weather they are the same row."""
    passed = through(*METRO, {"freq": "h"})
    assert passed.counts() == {"identical_rows": 7629, "gaps": 11_976}
    assert len(passed.cleaned.table) == 40_575
    assert len(passed.grid) == 40_575 + 11_976
    assert any("2014-08-08 01:00:00 and 2015-06-11 20:00:00" in item.message for item in passed.report.violations)


def test_metro_contradicts_itself_in_the_weather(through: Any) -> None:
    """With it the rows differ; the first label stays, "None" is a label."""
    series = {
        "freq": "h",
        "past": ("temp", "holiday", "weather_main", "weather_description", "rain_1h", "snow_1h", "clouds_all"),
    }
    series |= {"categorical": ("holiday", "weather_main", "weather_description")}
    with pytest.raises(DataError, match=r"7612 row\(s\) repeat a stamp"):
        through(*METRO, series)
    passed = through(*METRO, series | {"duplicates": "first"})
    assert passed.counts()["identical_rows"] == 17
    assert passed.counts()["duplicates"] == 7612
    assert passed.cleaned.table["holiday"].eq("None").sum() > 40_000


def test_machine_temperature_steps_back_once(through: Any) -> None:
    """By 55 minutes, on 2014-01-07: 12 stamps occur twice."""
    path, columns = "sensors/nab/machine_temperature_*.csv.gz", {"ds": "timestamp", "y": "value"}
    with pytest.raises(DataError, match=r"12 row\(s\) repeat a stamp.*2014-01-07 02:00:00"):
        through(path, columns, {"freq": "5min"})
    passed = through(path, columns, {"freq": "5min", "duplicates": "last"})
    assert passed.counts() == {"unsorted": 1, "duplicates": 12}
    (back,) = (violation for violation in passed.report.violations if violation.rule == "unsorted")
    assert str(passed.table["ds"][back.rows[0] - 1]) == "2014-01-07 02:55:00"
    assert str(passed.table["ds"][back.rows[0]]) == "2014-01-07 02:00:00"
    assert len(passed.grid) == len(passed.cleaned.table) == 22_683


def test_tesla_export_is_refused_for_its_intraday_row(take: Any) -> None:
    """The first row has a time for a date and a thousands separator."""
    with pytest.raises(SourceError) as error:
        take("stocks/TSLA*.csv.gz", {"ds": "date", "y": "close"}, {"freq": "B", "past": ("volume",)})
    message = str(error.value)
    assert "1 unreadable stamp(s): row 2 '11:34'" in message
    assert "column volume: 1 unreadable number(s): row 2 '4,787,699'" in message


def test_tesla_export_without_that_row_goes_through(take: Any, through: Any, datasets: Path, tmp_path: Path) -> None:
    """Newest first; exchange holidays are gaps of business days."""
    raw = pd.read_csv(datasets / "stocks/TSLA_2015_2018_irregular.csv.gz", dtype="str")
    raw[1:].to_csv(tmp_path / "tsla.csv", index=False)
    passed = through(tmp_path / "tsla.csv", {"ds": "date", "y": "close"}, {"freq": "B", "past": ("volume",)})
    assert passed.counts()["unsorted"] == 755
    assert len(passed.cleaned.table) == 756
    days = pd.bdate_range(passed.grid["ds"].min(), passed.grid["ds"].max())
    assert len(passed.grid) == len(days) == 756 + passed.counts()["gaps"]
    assert passed.grid["y"].isna().sum() == passed.counts()["gaps"]


VIC = ("load/vic_elec.csv.gz", {"ds": "Time", "y": "Demand"})


def test_victoria_in_utc_is_regular(through: Any) -> None:
    """52,608 half-hours; the holiday is TRUE or FALSE and becomes a number."""
    passed = through(*VIC, {"freq": "30min", "future": ("Temperature", "Holiday")}, time_zone="Australia/Melbourne")
    assert passed.counts() == {}
    assert passed.grid is passed.cleaned.table
    assert len(passed.grid) == 52_608
    assert str(passed.grid["ds"].iloc[0]) == "2011-12-31 13:00:00"
    assert set(passed.grid["Holiday"]) == {0.0, 1.0}


def test_victoria_in_local_time_has_days_of_46_and_50_half_hours(through: Any, datasets: Path, tmp_path: Path) -> None:
    """Stamps without offset, as a meter writes them, come back as the same UTC half-hours."""
    raw = pd.read_csv(datasets / VIC[0])
    utc = pd.to_datetime(raw["Time"])
    local = utc.dt.tz_convert("Australia/Melbourne").dt.tz_localize(None)
    days = local.dt.date.value_counts().value_counts().to_dict()
    assert days == {48: 1090, 50: 3, 46: 3}
    raw.assign(Time=local).to_csv(tmp_path / "local.csv", index=False)
    passed = through(tmp_path / "local.csv", VIC[1], {"freq": "30min"}, time_zone="Australia/Melbourne")
    assert passed.counts() == {}
    assert passed.grid["ds"].tolist() == utc.dt.tz_localize(None).tolist()
    with pytest.raises(DataError, match=r"6 row\(s\) repeat a stamp"):
        through(tmp_path / "local.csv", VIC[1], {"freq": "30min"})


AIR = {"ds": ("Date", "Time"), "y": "CO(GT)"}


def test_air_quality_has_1683_missing_hours(through: Any) -> None:
    """Byte order mark, date and time apart, -200 for no value; the grid of 9,357 hours is complete."""
    passed = through("sensors/AirQualityUCI.csv.gz", AIR, {"freq": "h", "past": ("T",)}, missing=(-200,))
    assert passed.counts() == {"missing_readings": 1683}
    assert passed.table["T"].isna().sum() == 366
    assert len(passed.grid) == 9357
    assert passed.grid["y"].isna().sum() == 1683


def test_air_quality_without_the_code_falls_to_the_bounds(through: Any) -> None:
    """A forgotten code is caught where readings have a lower bound."""
    passed = through("sensors/AirQualityUCI.csv.gz", AIR, {"freq": "h", "lower": 0})
    assert passed.counts() == {"below_lower": 1683, "missing_readings": 1683}
    assert passed.grid["y"].min() > 0


def test_air_quality_in_the_continental_layout_is_the_same_table(take: Any) -> None:
    """Semicolons, decimal commas, DD/MM/YYYY and HH.MM.SS; there 0 stands for no value."""
    layout = {"separator": ";", "decimal": ",", "date_format": "%d/%m/%Y %H.%M.%S", "missing": (0,)}
    continental = take("sensors/AirQualityUCI_semicolon.csv.gz", AIR, {"freq": "h"}, **layout)
    plain = take("sensors/AirQualityUCI.csv.gz", AIR, {"freq": "h"}, missing=(-200,))
    pd.testing.assert_frame_equal(continental, plain)
    with pytest.raises(SourceError, match=r"9357 unreadable stamp\(s\): row 2 '10/03/2004 18.00.00'"):
        take("sensors/AirQualityUCI_semicolon.csv.gz", AIR, {"freq": "h"}, separator=";", decimal=",")


MILK = ("classics/monthly-milk-incomplete.csv", {"ds": "Month", "y": "Pounds per cow"})


def test_milk_lacks_thirteen_months(through: Any, take: Any) -> None:
    """The full table beside it says which, and what stays is equal."""
    passed = through(*MILK, {"freq": "MS"})
    whole = take("classics/monthly-milk.csv", {"ds": "Month", "y": "Pounds per cow"}, {"freq": "MS"})
    assert passed.counts() == {"gaps": 13}
    assert passed.grid["ds"].tolist() == whole["ds"].tolist()
    seen = passed.grid["y"].notna()
    assert seen.sum() == 155
    assert passed.grid["y"][seen].tolist() == whole["y"][seen].tolist()


def test_milk_gaps_are_filled_or_refused_by_policy(through: Any) -> None:
    """Filled with the last month before, never with one after; refused with the count."""
    filled = through(*MILK, {"freq": "MS", "gaps": "fill"}).grid["y"]
    masked = through(*MILK, {"freq": "MS"}).grid["y"]
    assert filled.tolist() == masked.ffill().tolist()
    with pytest.raises(
        DataError, match=r"13 step\(s\) of MS are missing in 8 gap\(s\), the longest of 4 between 1967-11"
    ):
        through(*MILK, {"freq": "MS", "gaps": "refuse"})
    with pytest.raises(DataError, match=r"155 stamp.*off the grid of ME.*freq MS would fit"):
        through(*MILK, {"freq": "ME"})


def test_turbofan_engines_count_cycles(through: Any) -> None:
    """Blank separated, no header, no dates: 100 engines of 128 to 362 cycles; sensor 1 never changes."""
    columns, layout = {"unique_id": "0", "ds": "1"}, {"header": False, "separator": " ", "date_format": "step"}
    path, series = "sensors/cmapss/train_FD001.txt.gz", {"freq": "D", "past": ("5",)}
    passed = through(path, columns | {"y": "13"}, series, **layout)
    assert passed.counts() == {}
    assert len(passed.grid) == 20_631
    lengths = passed.grid.groupby("unique_id").size()
    assert (len(lengths), lengths.min(), lengths.max()) == (100, 128, 362)
    assert through(path, columns | {"y": "5"}, {"freq": "D"}, **layout).counts() == {"constant": 100}


def test_wide_closes_begin_when_they_were_listed(through: Any) -> None:
    """20 tickers, 35,589 cells before their first close; inside none is missing but the exchange's holidays."""
    passed = through("stocks/adjclose_20*.csv.gz", {"layout": "wide", "ds": "date"}, {"freq": "B"})
    assert len(passed.table) == 7126 * 20
    assert passed.counts()["leading_missing"] == 35_589
    assert len(passed.cleaned.table) == 7126 * 20 - 35_589
    first = passed.grid.groupby("unique_id")["ds"].min()
    assert str(first["FB"].date()) == "2012-05-18"
    assert len(first) == 20


def test_beijing_has_its_date_in_four_columns(through: Any) -> None:
    """2,067 hours without reading, the first 24 of them before all others; the wind direction is a label."""
    columns = {"ds": ("year", "month", "day", "hour"), "y": "pm2.5"}
    series = {"freq": "h", "past": ("cbwd", "TEMP"), "categorical": ("cbwd",)}
    passed = through("sensors/beijing_pm25_uci.csv.gz", columns, series)
    assert passed.counts() == {"leading_missing": 24, "missing_readings": 2067 - 24}
    assert str(passed.grid["ds"].iloc[0]) == "2010-01-02 00:00:00"
    assert len(passed.grid) == 43_824 - 24
    assert set(passed.grid["cbwd"]) == {"NW", "NE", "SE", "cv"}


def test_shampoo_months_are_no_dates(take: Any) -> None:
    """ "1-01" is refused instead of becoming a year that nobody meant."""
    with pytest.raises(SourceError, match=r"36 unreadable stamp\(s\): row 2 '1-01', .*name their layout"):
        take("classics/shampoo.csv", {"ds": "Month", "y": "Sales"}, {"freq": "MS"})
