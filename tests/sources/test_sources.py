"""Files and made-up series become long tables, or one clear error."""

import gzip
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from forecasting import sources
from forecasting.config.job import Job, parse_job
from forecasting.config.series import Series
from forecasting.config.source import FileSource, SyntheticSource
from forecasting.errors import SourceError


def read(path: Path | str, text: str | None = None, *, series: dict[str, Any] | None = None, **source: Any):
    """Write `text` to `path` and read it as a source of job `j`."""
    if text is not None:
        Path(path).write_text(text, encoding="utf-8")
    settings = {"freq": "h"} | (series or {})
    return sources.SOURCES["file"](FileSource(path=str(path), **source), Series(**settings), "j")


def stamps(table: pd.DataFrame) -> list[str]:
    """The stamps as they print."""
    return [str(stamp) for stamp in table["ds"]]


def test_read_of_a_job_gives_the_columns_in_the_order_of_the_configuration(tmp_path: Path) -> None:
    """Identifier, stamp, target, then past, future and static covariates; text stays text, numbers are float64."""
    (tmp_path / "a.csv").write_text("site,shop,t,z,v,b,a\nx,007,2024-01-01,1,2,3,NA\nx,008,2024-01-02,,,,None\n")
    job: Job = parse_job(
        {
            "name": "j",
            "source": {
                "kind": "file",
                "path": str(tmp_path / "*.csv"),
                "columns": {"ds": "t", "y": "v", "unique_id": ["site", "shop"]},
            },
            "series": {"freq": "D", "past": ["z"], "future": ["b"], "static": ["a"], "categorical": ["a"]},
            "window": {"context": 1, "horizon": 1},
        }
    )
    expected = pd.DataFrame(
        {
            "unique_id": ["x/007", "x/008"],
            "ds": pd.to_datetime(["2024-01-01", "2024-01-02"]).as_unit("us"),
            "y": [2.0, np.nan],
            "z": [1.0, np.nan],
            "b": [3.0, np.nan],
            "a": ["NA", "None"],
        }
    )
    assert_frame_equal(sources.read(job), expected)


CONTENT = "ds,y\n2024-01-01 00:00:00,1.5\n2024-01-01 01:00:00,-2\n"


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "csv.xz", "csv.zip", "parquet", "jsonl", "jsonl.gz"])
def test_every_format_gives_the_same_table(tmp_path: Path, kind: str) -> None:
    """CSV, also compressed, Parquet and JSON lines are told apart by their ending."""
    path = tmp_path / f"a.{kind}"
    frame = pd.DataFrame({"ds": ["2024-01-01 00:00:00", "2024-01-01 01:00:00"], "y": [1.5, -2.0]})
    if kind == "csv":
        path.write_text(CONTENT)
    elif kind == "csv.gz":
        path.write_bytes(gzip.compress(CONTENT.encode()))
    elif kind == "csv.xz":
        path.write_bytes(lzma.compress(CONTENT.encode()))
    elif kind == "csv.zip":
        frame.to_csv(path, index=False)
    elif kind == "parquet":
        frame.assign(ds=pd.to_datetime(frame["ds"])).set_index("ds").to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=True)
    assert_frame_equal(read(path), read(tmp_path / "plain.csv", CONTENT))
    assert read(path)["y"].tolist() == [1.5, -2.0]


def test_several_files_without_identifier_are_one_series(tmp_path: Path) -> None:
    """Globs are read in the order of their names, into one series that is called like the job."""
    read(tmp_path / "b.csv", "ds,y\n2024-01-02,2\n")
    table = read(tmp_path / "a.csv", "ds,y\n2024-01-01,1\n")
    table = read(tmp_path / "*.csv")
    assert table["y"].tolist() == [1, 2]
    assert table["unique_id"].tolist() == ["j", "j"]


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_column_unique_id_needs_no_word(tmp_path: Path, kind: str) -> None:
    """A long file in the usual layout is read as the series that its column `unique_id` names."""
    frame = pd.DataFrame({"unique_id": ["b", "a"], "ds": ["2024-01-01", "2024-01-01"], "y": [1.0, 2.0]})
    path = tmp_path / f"usual.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=True)
    assert read(path)["unique_id"].tolist() == ["b", "a"]


def test_environment_variable_may_have_a_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`${NAME:-default}` is the variable where it is set, else the default."""
    read(tmp_path / "a.csv", "ds,y\n2024-01-01,1\n")
    read(tmp_path / "b.csv", "ds,y\n2024-01-01,2\n")
    path = tmp_path / "${GATECAST_TEST_FILE:-a}.csv"
    monkeypatch.delenv("GATECAST_TEST_FILE", raising=False)
    assert read(path)["y"].tolist() == [1]
    monkeypatch.setenv("GATECAST_TEST_FILE", "b")
    assert read(path)["y"].tolist() == [2]


def test_path_may_name_environment_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`${NAME}` is replaced; all that are not set are named in the error."""
    (tmp_path / "a.csv").write_text(CONTENT)
    monkeypatch.setenv("FOLDER", str(tmp_path))
    assert len(read("${FOLDER}/a.csv")) == 2
    with pytest.raises(SourceError, match=r"source.path needs the environment variable\(s\) NOT_SET, NOR_THIS"):
        read("${NOT_SET}/${NOR_THIS}/a.csv")


def test_missing_file_names_the_pattern_and_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody in the wrong folder sees where they are."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=rf"no file matches source.path 'no/\*.csv' \(working directory {tmp_path}\)"):
        read("no/*.csv")


@pytest.mark.parametrize("text", ["", "ds,y\n"])
def test_file_without_rows_is_refused(tmp_path: Path, text: str) -> None:
    """An empty file and a lone header hold nothing."""
    with pytest.raises(SourceError, match=r"holds no rows|No columns"):
        read(tmp_path / "a.csv", text)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.parquet", "a.jsonl"])
def test_damaged_file_is_one_clear_error(tmp_path: Path, name: str) -> None:
    """A file whose content is not what its ending says is named, with the reason."""
    (tmp_path / name).write_bytes(b"\x1f\x8b\x08no such thing")
    with pytest.raises(SourceError, match=f"cannot read .*{name}: "):
        read(tmp_path / name)


def test_unknown_ending_lists_the_known_ones(tmp_path: Path) -> None:
    """Old workbooks are not read; what is read is listed."""
    with pytest.raises(SourceError, match=r"a.xls is of no known format; known endings: .csv.*.parquet.*.xlsx"):
        read(tmp_path / "a.xls", "x")


def test_missing_columns_are_listed_at_once_with_close_matches(tmp_path: Path) -> None:
    """Every column that the configuration names and the file lacks, and those that it has."""
    with pytest.raises(SourceError) as error:
        read(
            tmp_path / "a.csv", "Time,value\n2024,1\n", columns={"ds": "time", "y": "valu"}, series={"past": ("wind",)}
        )
    message = str(error.value)
    hints = "time (did you mean Time?), wind, valu (did you mean value?)"
    assert f"no column {hints}; its columns are: Time, value" in message


def test_unreadable_values_are_listed_with_rows_and_remedy(tmp_path: Path) -> None:
    """All kinds of unreadable values of all files in one error; the header is row 1; five examples each."""
    read(tmp_path / "b.csv", "ds,y\n2024-01-01,\n")
    (tmp_path / "a.csv").write_text("ds,y\n2024-01-01,1\n11:34,2\n" + "2024-01-02,bad\n" * 6)
    (tmp_path / "c.csv").write_text("ds,y\n31.01.2024,1\n")
    with pytest.raises(SourceError) as error:
        read(tmp_path / "*.csv")
    first, second, third = str(error.value).splitlines()[1:]
    assert "a.csv, 1 unreadable stamp(s): row 3 '11:34'; expected ISO 8601" in first
    assert "a.csv, column y: 6 unreadable number(s): row 4 'bad', row 5" in second
    assert second.count("'bad'") == 5
    assert "source.missing" in second
    assert "c.csv, 1 unreadable stamp(s): row 2 '31.01.2024'" in third
    assert "source.date_format" in third


def test_codes_for_no_value_are_missing(tmp_path: Path) -> None:
    """Numbers and texts of `missing`, as they are written or as their value, besides the empty cell."""
    text = "ds,y,label\n2024-01-01,-200,a\n2024-01-02,-200.0,?\n2024-01-03,?,b\n2024-01-04,,\n2024-01-05,5,c\n"
    table = read(tmp_path / "a.csv", text, missing=(-200, "?"), series={"past": ("label",), "categorical": ("label",)})
    assert table["y"].isna().tolist() == [True, True, True, True, False]
    assert table["label"].isna().tolist() == [False, True, False, True, False]


def test_decimal_comma_separator_and_joined_stamp(tmp_path: Path) -> None:
    """The continental layout: semicolons, decimal commas, date and time apart."""
    table = read(
        tmp_path / "a.csv",
        "\ufeffDate;Time;v\n31/01/2024;18.30.00;1,25\n;;\n",
        separator=";",
        decimal=",",
        date_format="%d/%m/%Y %H.%M.%S",
        columns={"ds": ("Date", "Time"), "y": "v"},
    )
    assert (stamps(table), table["y"].tolist()) == (["2024-01-31 18:30:00"], [1.25])


@pytest.mark.parametrize(
    ("raw", "date_format", "expected"),
    [
        ("2024-01-31T18:30:00", None, "2024-01-31 18:30:00"),
        ("2024/01/31", None, "2024-01-31 00:00:00"),
        ("1991", None, "1991-01-01 00:00:00"),
        ("20240131", None, "2024-01-31 00:00:00"),
        ("20240131", "%Y%m%d", "2024-01-31 00:00:00"),
        ("31.01.24", ("%d.%m.%Y", "%d.%m.%y"), "2024-01-31 00:00:00"),
        ("2024-01-31T18:30:00Z", None, "2024-01-31 18:30:00"),
        ("2024-01-31 18:30:00-05:00", None, "2024-01-31 23:30:00"),
        ("2024-01-31T18:30:00+0530", "%Y-%m-%dT%H:%M:%S%z", "2024-01-31 13:00:00"),
        ("1706725800", "unix", "2024-01-31 18:30:00"),
        ("1706725800250", "unix_ms", "2024-01-31 18:30:00.250000"),
        ("30", "step", "2000-01-02 06:00:00"),
    ],
)
def test_stamp_layouts(tmp_path: Path, raw: str, date_format: Any, expected: str) -> None:
    """ISO 8601 by itself, other layouts by name; stamps with an offset become UTC."""
    assert stamps(read(tmp_path / "a.csv", f"ds,y\n{raw},1\n", date_format=date_format)) == [expected]


def test_year_month_day_hour_columns_are_joined(tmp_path: Path) -> None:
    """Number columns from the year down need no layout."""
    table = read(tmp_path / "a.csv", "a,b,c,d,y\n2010,1,9,0,1\n2010,12,31,23,1\n", columns={"ds": ("a", "b", "c", "d")})
    assert stamps(table) == ["2010-01-09 00:00:00", "2010-12-31 23:00:00"]


def test_numbers_in_parquet_are_dates_too(tmp_path: Path) -> None:
    """A float column of years is read like the text of whole numbers."""
    pd.DataFrame({"ds": [2001.0, 2002.0], "y": [1, 2]}).to_parquet(tmp_path / "a.parquet")
    assert stamps(read(tmp_path / "a.parquet", series={"freq": "YS"})) == ["2001-01-01 00:00:00", "2002-01-01 00:00:00"]


def test_wide_file_gives_a_series_per_column(tmp_path: Path) -> None:
    """Covariates stay beside every series; an identifier column stands before the name of the value column."""
    text = "t,site,temp,a,b\n2024-01-01,n,7,1,\n2024-01-02,n,8,2,20\n"
    series = {"future": ("temp",)}
    table = read(tmp_path / "a.csv", text, series=series, columns={"layout": "wide", "ds": "t", "unique_id": "site"})
    expected = pd.DataFrame(
        {
            "unique_id": ["n/a", "n/a", "n/b", "n/b"],
            "ds": pd.to_datetime(["2024-01-01", "2024-01-02"] * 2).as_unit("us"),
            "y": [1, 2, np.nan, 20],
            "temp": [7.0, 8.0, 7.0, 8.0],
        }
    )
    assert_frame_equal(table, expected)
    listed = read(tmp_path / "a.csv", columns={"layout": "wide", "ds": "t", "y": ["b"]})
    assert listed["unique_id"].tolist() == ["b", "b"]


def test_long_layout_refuses_several_targets(tmp_path: Path) -> None:
    """What the author wants is the wide layout."""
    with pytest.raises(SourceError, match="with layout: wide each of them becomes a series"):
        read(tmp_path / "a.csv", "ds,a,b\n2024,1,2\n", columns={"y": ("a", "b")})


def test_local_stamps_become_utc_through_both_changes_of_the_clock(tmp_path: Path) -> None:
    """The autumn hour that occurs twice is told apart by order, within each series, in half-hours too."""
    local = pd.date_range("2024-10-26 22:00", "2024-10-27 03:30", freq="30min", tz="UTC")
    wall = local.tz_convert("Europe/Berlin").strftime("%Y-%m-%d %H:%M")
    text = "unique_id,ds,y\n" + "".join(f"{name},{stamp},1\n" for stamp in wall for name in "ab")
    table = read(tmp_path / "a.csv", text, time_zone="Europe/Berlin", columns={"unique_id": "unique_id"})
    for name in "ab":
        own = table.loc[table["unique_id"] == name, "ds"]
        assert own.tolist() == local.tz_localize(None).tolist()


def test_autumn_hour_in_a_file_that_runs_newest_first(tmp_path: Path) -> None:
    """There the first of the two rows is standard time."""
    utc = pd.date_range("2024-10-26 22:00", "2024-10-27 03:00", freq="h", tz="UTC")[::-1]
    wall = utc.tz_convert("Europe/Berlin").strftime("%Y-%m-%d %H:%M")
    table = read(tmp_path / "a.csv", "ds,y\n" + "".join(f"{s},1\n" for s in wall), time_zone="Europe/Berlin")
    assert table["ds"].tolist() == utc.tz_localize(None).tolist()


def test_autumn_hour_that_occurs_once_is_daylight_saving_time(tmp_path: Path) -> None:
    """Without a second row there is nothing to tell it apart by."""
    table = read(tmp_path / "a.csv", "ds,y\n2024-10-27 02:00,1\n2024-10-27 03:00,1\n", time_zone="Europe/Berlin")
    assert stamps(table) == ["2024-10-27 00:00:00", "2024-10-27 02:00:00"]


def test_spring_hour_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    """The message names the rows and what such stamps usually mean."""
    with pytest.raises(SourceError, match=r"1 stamp\(s\) do not exist in Europe/Berlin.*row 3 '2024-03-31 02:30'"):
        read(tmp_path / "a.csv", "ds,y\n2024-03-31 01:30,1\n2024-03-31 02:30,1\n", time_zone="Europe/Berlin")


def test_stamps_with_an_offset_ignore_the_time_zone(tmp_path: Path) -> None:
    """They say themselves how far they are from UTC, row by row."""
    text = "ds,y\n2024-07-01T12:00:00Z,1\n2024-07-01 12:00:00,1\n2024-07-01 12:00:00+00:00,1\n"
    assert stamps(read(tmp_path / "a.csv", text, time_zone="Europe/Berlin")) == [
        "2024-07-01 12:00:00",
        "2024-07-01 10:00:00",
        "2024-07-01 12:00:00",
    ]


def test_dates_of_days_keep_their_date_in_any_time_zone(tmp_path: Path) -> None:
    """A step of a day or longer counts local dates: an offset is turned into the local date, a plain date stays."""
    text = "ds,y\n2024-07-01,1\n2024-07-01T22:00:00Z,1\n"
    table = read(tmp_path / "a.csv", text, time_zone="Europe/Berlin", series={"freq": "D"})
    assert stamps(table) == ["2024-07-01 00:00:00", "2024-07-02 00:00:00"]


def test_file_without_header_has_numbered_columns(tmp_path: Path) -> None:
    """Blank separated, trailing blanks, columns "0", "1", …; rows count from 1."""
    columns = {"ds": "1", "y": "2", "unique_id": "0"}
    table = read(
        tmp_path / "a.txt", "7 1 0.5 \n7 2 0.6 \n", header=False, separator=" ", date_format="step", columns=columns
    )
    assert table["unique_id"].tolist() == ["7", "7"]
    assert table["y"].tolist() == [0.5, 0.6]
    with pytest.raises(SourceError, match="row 2 'x'"):
        read(tmp_path / "a.txt", "7 1 0.5\n7 2 x\n", header=False, separator=" ", date_format="step", columns=columns)


def test_synthetic_series_follow_their_formula() -> None:
    """Without noise the series is a sine of the given season plus the trend, and equal seeds give equal tables."""
    made = sources.SOURCES["synthetic"]
    source = SyntheticSource(series=2, length=96, season=24, trend=0.5, noise=0.0)
    table = made(source, Series(freq="h"), "j")
    y = table.loc[table["unique_id"] == "j-1", "y"].to_numpy()
    assert np.allclose(y[24:] - y[:-24], 12.0)  # a season later only the trend has moved it
    assert np.ptp(y - 0.5 * np.arange(96)) == pytest.approx(2.0, abs=0.02)
    assert_frame_equal(made(source, Series(freq="h"), "j"), table)
    more = made(source.model_copy(update={"series": 3}), Series(freq="h"), "j")
    assert_frame_equal(more[: len(table)].reset_index(drop=True), table.reset_index(drop=True))
    other = made(source.model_copy(update={"seed": 2}), Series(freq="h"), "j")
    assert not np.allclose(other["y"], table["y"])


def test_synthetic_covariates_have_their_kinds_and_rows_are_missing() -> None:
    """Labels for categorical names, one value per series for static ones, the given share of rows dropped."""
    series = Series(freq="h", past=("p",), future=("f",), static=("s",), categorical=("s",))
    table = sources.SOURCES["synthetic"](SyntheticSource(missing=0.25, length=4000), series, "j")
    assert list(table.columns) == ["unique_id", "ds", "y", "p", "f", "s"]
    assert set(table["s"]) <= {"a", "b", "c"}
    assert (table.groupby("unique_id")["s"].nunique() == 1).all()
    assert len(table) / 12_000 == pytest.approx(0.75, abs=0.02)
    assert table["y"].corr(table["f"]) > 0.3


def test_intermittent_series_are_counts_with_many_zeros() -> None:
    """Whole numbers, mostly zero in some series and hardly ever in others, the same for the same seed."""
    source = SyntheticSource(series=40, length=800, freq="D", season=7, intermittent=True)
    table = sources.SOURCES["synthetic"](source, Series(freq="D"), "j")
    assert ((table["y"] >= 0) & (table["y"] == table["y"].round())).all()
    zeros = table["y"].eq(0).groupby(table["unique_id"]).mean()
    assert zeros.max() > 0.9
    assert zeros.min() < 0.3
    means = table["y"].groupby(table["unique_id"]).mean()
    assert means.min() < 0.1
    assert means.max() > 5
    assert_frame_equal(sources.SOURCES["synthetic"](source, Series(freq="D"), "j"), table)


def test_intermittent_series_keep_their_season() -> None:
    """The logarithm of the rate is the sine: a season later counts are alike, half a season later they are not."""
    source = SyntheticSource(series=30, length=2000, freq="D", season=10, noise=0.0, intermittent=True)
    table = sources.SOURCES["synthetic"](source, Series(freq="D"), "j")
    wide = table["y"].to_numpy().reshape(30, 2000)
    wide = wide[wide.mean(axis=1) > 3]
    after = {lag: np.mean([np.corrcoef(row[lag:], row[:-lag])[0, 1] for row in wide]) for lag in (5, 10)}
    assert after[10] > after[5] + 0.5
