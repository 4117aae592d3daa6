"""From a file that nobody has described to a job that reads it as it was meant."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from forecasting import sources
from forecasting.config.job import load_job
from forecasting.errors import SourceError
from forecasting.inspection.findings import Question
from forecasting.inspection.inspect import Inspection, inspect

Look = Callable[..., Inspection]
DAYS = pd.date_range("2024-01-01", periods=60, freq="D")
WAVE = 20 + 5 * np.sin(np.arange(60) * 2 * np.pi / 7)


def lines(header: str, *columns: Any, sign: str = ",") -> str:
    """A text file of these columns."""
    rows = [sign.join(map(str, row)) for row in zip(*columns, strict=True)]
    return "\n".join([header, *rows]) + "\n"


def keys(found: Inspection) -> dict[str, Any]:
    """What was found, without reasons."""
    return {key: each.value for key, each in found.findings.found.items()}


def guessed(found: Inspection) -> set[str]:
    """The keys that could have another value."""
    return {key for key, each in found.findings.found.items() if not each.sure}


def test_a_german_table_is_read_as_it_was_meant(look: Look) -> None:
    """Semicolons, decimal commas, points between thousands, days first, dashes for no value, an umlaut of Windows."""
    y = [f"{1000 + 10 * value:,.2f}".translate(str.maketrans(",.", ".,")) for value in WAVE]
    y[5] = y[30] = "-"
    text = lines("Datum;Öl", DAYS.strftime("%d.%m.%Y"), y, sign=";")
    found = look(text.encode("cp1252"))
    expected = {
        "source.encoding": "cp1252",
        "source.separator": ";",
        "source.decimal": ",",
        "source.thousands": ".",
        "source.missing": ["-"],
        "source.date_format": "%d.%m.%Y",
        "source.columns.ds": "Datum",
        "source.columns.y": "Öl",
        "series.freq": "D",
    }
    assert expected.items() <= keys(found).items()
    assert "source.encoding" in guessed(found)
    rounded = np.round(1000 + 10 * np.delete(WAVE, [5, 30]), 2)
    np.testing.assert_allclose(found.table["y"].dropna(), rounded)
    assert found.table["ds"].tolist() == list(DAYS)


@pytest.mark.parametrize("case", ["thousands_dot", "thousands_mixed"])
def test_three_digits_behind_every_point_are_thousands_and_a_guess(case: str, look: Look) -> None:
    """2.500 in a German file, and 999 beside 1.313: read a thousand times larger than by default, and marked."""
    y = ["2.500", "3.204", "1.313"] * 20 if case == "thousands_dot" else ["999", "1.313", "1.000"] * 20
    found = look(lines("Datum;Menge", DAYS.strftime("%d.%m.%Y"), y, sign=";"))
    assert found.table["y"].tolist()[:2] == ([2500, 3204] if case == "thousands_dot" else [999, 1313])
    assert "source.thousands" in guessed(found)


def test_small_numbers_with_three_decimals_stay_small(look: Look) -> None:
    """0.500 and 1.250 are no thousands."""
    found = look(lines("ds,y", DAYS.strftime("%Y-%m-%d"), ["0.500", "1.250", "2.125"] * 20))
    assert found.table["y"].tolist()[:2] == [0.5, 1.25]


def test_which_number_is_the_day_is_seen_in_the_steps(look: Look) -> None:
    """Months before days where no number tells, since only then the steps are months."""
    months = pd.date_range("2021-01-01", periods=40, freq="MS")
    found = look(lines("when,y", months.strftime("%m/%d/%Y"), WAVE[:40]))
    assert keys(found)["source.date_format"] == "%m/%d/%Y"
    assert keys(found)["series.freq"] == "MS"
    days = pd.date_range("2021-01-01", periods=40, freq="MS")
    assert keys(look(lines("when,y", days.strftime("%d/%m/%Y"), WAVE[:40])))["source.date_format"] == "%d/%m/%Y"


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        (DAYS.strftime("%Y%m%d"), {"source.date_format": "%Y%m%d", "series.freq": "D"}),
        (DAYS.strftime("%b %d, %Y").map('"{}"'.format), {"source.date_format": "%b %d, %Y"}),
        ((DAYS.astype("datetime64[s]").astype(int)), {"source.date_format": "unix"}),
        ((DAYS.astype("datetime64[ms]").astype(int)), {"source.date_format": "unix_ms"}),
        (range(1900, 1960), {"source.date_format": "%Y", "series.freq": "YS"}),
        ([f"{1990 + i // 4} Q{i % 4 + 1}" for i in range(60)], {"series.freq": "QS"}),
        (DAYS.strftime("%d/%m/%y %I:%M %p"), {"source.date_format": "%d/%m/%y %I:%M %p"}),
    ],
)
def test_stamps_of_many_kinds_are_read(look: Look, stamps: Any, expected: dict[str, str]) -> None:
    """Digits, words, seconds, milliseconds, years, quarters, halves of the day."""
    found = look(lines("date,y", stamps, WAVE))
    assert expected.items() <= keys(found).items()
    assert found.table["ds"].is_monotonic_increasing
    assert not found.errors


def test_a_sensor_that_stutters_is_gathered(look: Look) -> None:
    """Some seconds late at every step: the step is that of most readings, and both keys are guesses."""
    late = pd.to_timedelta(np.random.default_rng(1).integers(0, 9, 200), unit="s")
    stamps = pd.date_range("2024-01-01", periods=200, freq="5min") + late
    found = look(lines("ds,y", stamps, np.arange(200.0)))
    assert (keys(found)["series.freq"], keys(found)["series.aggregate"]) == ("5min", "mean")
    assert {"series.freq", "series.aggregate"} <= guessed(found)
    assert not found.errors


def test_several_series_are_told_apart_by_their_names(look: Look) -> None:
    """Two labels together name a series; a label that changes from row to row is a covariate, not a name."""
    shops, goods = np.repeat(["north", "south"], 120), np.tile(np.repeat(["tea", "milk"], 60), 2)
    weather = np.random.default_rng(1).choice(["sun", "rain", "fog"], 240)
    stamps = np.tile(DAYS.strftime("%Y-%m-%d"), 4)
    found = look(lines("date,shop,good,weather,sales", stamps, shops, goods, weather, np.arange(240.0)))
    assert keys(found)["source.columns.unique_id"] == ["shop", "good"]
    assert found.table["unique_id"].unique().tolist() == ["north/tea", "north/milk", "south/tea", "south/milk"]
    assert keys(found)["series.past"] == keys(found)["series.categorical"] == ["weather"]


def test_columns_of_one_kind_are_series(look: Look) -> None:
    """Numbered sensors are surely series; columns of one size may be, and pandas' row numbers are none."""
    sensors = lines(",date,s1,s2,s3", range(60), DAYS.strftime("%Y-%m-%d"), WAVE, 2 * WAVE, 3 * WAVE)
    found = look(sensors)
    assert keys(found)["source.columns.y"] == ["s1", "s2", "s3"]
    assert "source.columns.layout" not in guessed(found)
    assert found.table["unique_id"].nunique() == 3
    shops = look(lines("date,north,south,west", DAYS.strftime("%Y-%m-%d"), WAVE, 2 * WAVE, 3 * WAVE))
    assert keys(shops)["source.columns.layout"] == "wide"
    assert "source.columns.layout" in guessed(shops)


def test_what_goes_on_after_the_last_reading_is_known_ahead(look: Look) -> None:
    """And how far it goes on is the horizon; what ends with the readings is known of the past alone."""
    y = [*WAVE[:53], *[""] * 7]
    wind = [*(2 * WAVE[:53]), *[""] * 7]
    found = look(lines("ds,y,price,wind,kind", DAYS.strftime("%Y-%m-%d"), y, WAVE + 1, wind, ["x"] * 60))
    assert keys(found)["series.future"] == ["price"]
    assert keys(found)["series.past"] == ["wind"]
    assert keys(found)["window.horizon"] == 7
    assert any("kind" in note for note in found.findings.notes)


@pytest.mark.parametrize(
    "name", ["load_forecast", "wind_day_ahead", "Day-Ahead Price", "Prognose", "expected visitors"]
)
def test_a_column_that_may_be_known_ahead_is_asked_for(look: Look, name: str) -> None:
    """It ends with the readings, and only its name speaks: a guess where nobody is there, else as answered."""
    text = lines(f"ds,y,wind,{name}", DAYS.strftime("%Y-%m-%d"), WAVE, 2 * WAVE, WAVE + 1)
    silent = look(text)
    assert (keys(silent)["series.future"], keys(silent)["series.past"]) == ([], ["wind", name])
    assert "series.future" in guessed(silent)
    line = next(line for line in silent.yaml().splitlines() if line.strip().startswith("future:"))
    assert "A GUESS" in line
    assert name in line
    asked = look(text, ask=lambda question: question.options[-1] if question.options else question.value)
    assert (keys(asked)["series.future"], keys(asked)["series.past"]) == ([name], ["wind"])
    assert "series.future" not in guessed(asked)
    assert "series.future" not in keys(look(lines("ds,y,wind", DAYS.strftime("%Y-%m-%d"), WAVE, 2 * WAVE)))


def test_a_code_for_no_value_is_seen_where_it_is_far(look: Look) -> None:
    """-999 among temperatures is none; -200 within the range of the readings is one."""
    far = WAVE.copy()
    far[[3, 9, 20, 33]] = -999
    found = look(lines("ds,y", DAYS.strftime("%Y-%m-%d"), far))
    assert keys(found)["source.missing"] == [-999]
    assert "source.missing" in guessed(found)
    assert found.table["y"].isna().sum() == 4
    near = np.linspace(-300, 300, 60).round(-2)
    assert "source.missing" not in keys(look(lines("ds,y", DAYS.strftime("%Y-%m-%d"), near)))


def test_counts_have_a_bound_and_stay_whole(look: Look) -> None:
    """Whole numbers from zero on."""
    found = look(lines("ds,y", DAYS.strftime("%Y-%m-%d"), np.random.default_rng(1).poisson(2, 60)))
    assert (keys(found)["series.lower"], keys(found)["series.integer"]) == (0, True)


def test_hours_that_the_clock_skips_tell_the_zone(look: Look) -> None:
    """Two springs without the hour at two of Berlin; the same stamps in UTC tell nothing."""
    utc = pd.date_range("2022-01-01", "2023-12-31", freq="h", tz="UTC")
    local = utc.tz_convert("Europe/Berlin").tz_localize(None)
    found = look(lines("ds,y", local.strftime("%Y-%m-%d %H:%M:%S"), np.arange(len(utc)) % 24))
    assert keys(found)["source.time_zone"] == "Europe/Berlin"
    assert "source.time_zone" in guessed(found)
    assert found.table["ds"].tolist() == utc.tz_localize(None).tolist()
    plain = utc.tz_localize(None)
    assert "source.time_zone" not in keys(look(lines("ds,y", plain, np.arange(len(utc)) % 24)))


def test_repeated_stamps_ask_for_a_policy(look: Look) -> None:
    """Repeated whole rows are surely one; contradicting readings are a guess."""
    twice = lines("ds,y", [*DAYS.strftime("%Y-%m-%d"), "2024-01-05"], [*WAVE, WAVE[4]])
    found = look(twice)
    assert (keys(found)["series.duplicates"], "series.duplicates" in guessed(found)) == ("first", False)
    other = look(lines("ds,y", [*DAYS.strftime("%Y-%m-%d"), "2024-01-05"], [*WAVE, 99.0]))
    assert (keys(other)["series.duplicates"], "series.duplicates" in guessed(other)) == ("mean", True)


def test_a_person_who_is_there_decides(look: Look) -> None:
    """Every question has the likeliest value and its reason; the answer is what the job says, and is no guess."""
    asked: list[Question] = []

    def answer(question: Question) -> Any:
        asked.append(question)
        return "north" if question.key == "source.columns.y" else question.value

    text = lines("date,weather,north,south", DAYS.strftime("%Y-%m-%d"), ["sun", "rain"] * 30, WAVE, WAVE)
    found = look(text, ask=answer)
    assert {"source.columns.y", "window.horizon"} <= {question.key for question in asked}
    assert keys(found)["source.columns.y"] == "north"
    assert guessed(found) == set()
    assert found.findings.found["source.columns.y"].why == "as answered"


def test_the_job_that_is_written_reads_the_same_table(look: Look, tmp_path: Path) -> None:
    """Each line has a reason, each guess is called one, and the file is a job like any other."""
    found = look(lines("date,a,b", DAYS.strftime("%d.%m.%Y"), WAVE, 100 * WAVE), horizon=5)
    path = tmp_path / "job.yaml"
    path.write_text(found.yaml(), encoding="utf-8")
    job = load_job(path)
    assert job == found.job
    assert job.window.horizon == 5
    pd.testing.assert_frame_equal(sources.read(job), found.table)
    text = found.yaml().splitlines()
    leaves = [line for line in text if ": " in line and not line.startswith("#")]
    assert [line for line in leaves if " # " not in line and "kind:" not in line] == []
    assert sum("A GUESS" in line for line in text) == len(guessed(found)) > 0
    assert yaml.safe_load(found.yaml())["series"]["past"] == ["a"]


def test_other_formats_and_databases_are_inspected_alike(look: Look, tmp_path: Path) -> None:
    """Parquet, JSON lines, and a query give the table that the CSV gives."""
    table = pd.DataFrame({"time": DAYS, "load": WAVE})
    table.to_parquet(tmp_path / "a.parquet")
    table.assign(time=DAYS.strftime("%Y-%m-%d")).to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    with sqlite3.connect(tmp_path / "a.db") as connection:
        table.assign(time=DAYS.strftime("%Y-%m-%d")).to_sql("readings", connection, index=False)
    url = f"sqlite:///{tmp_path / 'a.db'}"
    for found in (
        inspect(str(tmp_path / "a.parquet")),
        inspect(str(tmp_path / "a.jsonl")),
        inspect(url, query="SELECT * FROM readings"),
    ):
        assert (keys(found)["source.columns.ds"], keys(found)["source.columns.y"]) == ("time", "load")
        np.testing.assert_allclose(found.table["y"], WAVE)
        assert found.table["ds"].tolist() == list(DAYS)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("book.xls", b"PK", "is a workbook that Gatecast does not read: save it as .xlsx, or the sheet as CSV"),
        ("book.xlsx", b"PK", "cannot read .*book.xlsx: "),
        ("a.csv", b"ds,y\n2024-01-01,19,92\n2024-01-02,24,21\n", r"2 row\(s\) of .* have 3 cells, expected 2"),
        ("a.csv", b"name,town\nx,y\nz,w\n", "no column holds numbers"),
        ("a.doc", b"x", "is of no known format"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(look: Look, name: str, content: bytes, sentence: str) -> None:
    """What it is and what to do."""
    with pytest.raises(SourceError, match=sentence):
        look(content, name)


def test_a_database_needs_its_query() -> None:
    """And a web address is no database: it is fetched."""
    with pytest.raises(SourceError, match="--query"):
        inspect("sqlite:///a.db")
    with pytest.raises(SourceError, match=r"the host of http://127.0.0.1:1/a.csv cannot be reached"):
        inspect("http://127.0.0.1:1/a.csv")


HIDDEN = {
    "sensors/AirQualityUCI_semicolon.csv.gz": {
        "source.separator": ";",
        "source.decimal": ",",
        "source.columns.ds": ["Date", "Time"],
        "source.date_format": "%d/%m/%Y %H.%M.%S",
        "series.freq": "h",
    },
    "sensors/AirQualityUCI.csv.gz": {"source.missing": [-200], "series.freq": "h"},
    "sensors/jena_climate_jan2009.csv.gz": {"source.date_format": "%d.%m.%Y %H:%M:%S", "series.freq": "10min"},
    "sensors/beijing_pm25_uci.csv.gz": {
        "source.columns.ds": ["year", "month", "day", "hour"],
        "source.columns.y": "pm2.5",
        "series.categorical": ["cbwd"],
        "series.freq": "h",
    },
    "load/ercot_multiple_ts.csv.gz": {"source.columns.unique_id": "unique_id", "series.freq": "h"},
    "classics/us_gasoline.csv": {"source.date_format": "%m/%d/%Y", "series.freq": "W-FRI"},
    "classics/ausbeer.csv": {"series.freq": "QS"},
    "classics/AirPassengers.csv": {"series.freq": "MS", "series.integer": True},
    "classics/statsmodels_co2.csv": {"source.date_format": "%Y%m%d", "series.freq": "W-SAT"},
}


@pytest.mark.parametrize("path", HIDDEN)
def test_public_files_under_another_name_are_read_as_documented(datasets: Path, look: Look, path: str) -> None:
    """What the documentation of a data set says of its layout is found in the file alone."""
    suffix = "".join(Path(path).suffixes[-2:]) if path.endswith(".gz") else ".csv"
    found = look((datasets / path).read_bytes(), f"unknown{suffix}")
    assert {key: keys(found).get(key) for key in HIDDEN[path]} == HIDDEN[path]
    assert not found.errors


def test_three_digits_behind_every_comma_of_a_semicolon_file_are_a_fraction_and_a_guess(look: Look) -> None:
    """Semicolons between cells leave the comma to fractions: 12,345 is twelve and a bit, and somebody should look."""
    y = [f"{value:.3f}".replace(".", ",") for value in WAVE]
    found = look(lines("day;level", DAYS.date, y, sign=";").encode())
    np.testing.assert_allclose(found.table["y"], np.round(WAVE, 3))
    assert "source.thousands" not in keys(found)
    assert "source.decimal" in guessed(found)


def test_seconds_since_1970_need_neither_a_name_nor_an_order(look: Look) -> None:
    """Without a header, with readings that came twice or late, stamps are stamps, and the other column the readings."""
    seconds = pd.Series(DAYS.astype("datetime64[s]").astype("int64"))
    table = pd.DataFrame({"when": seconds, "what": WAVE})
    late = pd.concat([table, table.iloc[[3, 9]]])
    found = look(late.to_csv(header=False, index=False).encode())
    found_keys = keys(found)
    assert (found_keys["source.date_format"], found_keys["source.columns.y"]) == ("unix", "1")
    assert "source.columns.layout" not in found_keys
    assert set(found.table["ds"]) == set(DAYS)


def test_the_column_that_ends_before_all_others_is_the_target_and_a_guess(look: Look) -> None:
    """What is known ahead goes on behind it, whatever the names and the order of the columns."""
    y = [*np.round(WAVE[:-7], 3), *[""] * 7]
    text = lines("k,day,p,q", ["a"] * 60, DAYS.date, y, np.round(WAVE * 3, 3))
    text += lines("", ["b"] * 60, DAYS.date, y, np.round(WAVE * 2, 3))[1:]
    found = look(text.encode())
    assert keys(found)["source.columns.y"] == "p"
    assert keys(found)["series.future"] == ["q"]
    assert "source.columns.y" in guessed(found)


def test_the_season_of_an_irregular_sensor_is_that_of_its_steps(look: Look) -> None:
    """Readings that stand on no grid are gathered before anybody looks for a season; nothing is divided by none."""
    hours = pd.date_range("2024-01-01", periods=24 * 30, freq="h")
    late = np.random.default_rng(1).integers(1, 600, len(hours))
    y = 10 + np.sin(np.arange(len(hours)) * 2 * np.pi / 24)
    found = look(lines("time,value", hours + pd.to_timedelta(late, unit="s"), np.round(y, 3)).encode())
    assert keys(found)["series.aggregate"] == "mean"
    assert any(note.startswith("a season of 24 steps") for note in found.findings.notes)


def test_a_column_that_is_mostly_zero_is_no_target_unless_it_says_so(look: Look) -> None:
    """Rain after temperature: the last column with something to forecast in most rows is asked about first."""
    rain = np.where(np.arange(60) % 5 == 0, 1.5, 0.0)
    text = lines("day,p,q", DAYS.date, np.round(WAVE, 3), rain)
    assert keys(look(text.encode()))["source.columns.y"] == "p"
    assert keys(look(text.replace("q", "value").encode()))["source.columns.y"] == "value"
