"""The files under data/ are those that data/README.md describes."""

import hashlib
import re
from pathlib import Path

import pandas as pd
import pytest

DATA = Path(__file__).parents[1] / "data"
README = (DATA / "README.md").read_text(encoding="utf-8")
CHECKSUMS = {path: checksum for checksum, path in re.findall(r"^([0-9a-f]{64})  (\S+)$", README, flags=re.MULTILINE)}


def grid_gaps(stamps: pd.Series, freq: str) -> pd.Series:
    """The number of missing steps between neighboring stamps, where there are any."""
    missing = stamps.drop_duplicates().diff().dropna() / pd.Timedelta(freq) - 1
    return missing[missing > 0]


def test_readme_lists_every_file() -> None:
    """A data file without provenance and checksum cannot be added."""
    assert {str(path.relative_to(DATA)) for path in DATA.glob("*/*")} == set(CHECKSUMS)


@pytest.mark.parametrize("path", sorted(CHECKSUMS))
def test_checksum_is_the_listed_one(path: str) -> None:
    """Nobody changed a byte."""
    assert hashlib.sha256((DATA / path).read_bytes()).hexdigest() == CHECKSUMS[path]


def test_files_are_small() -> None:
    """The whole folder stays below one megabyte, so that a clone stays light."""
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 1_000_000


@pytest.mark.parametrize(
    ("path", "rows"),
    [
        ("glucose/cgm.csv.gz", 52_281),
        ("sea_surface/sea_surface_temperature.csv.gz", 19_226),
        ("stocks/stocks.csv.gz", 12_154),
    ],
)
def test_row_count_is_the_stated_one(path: str, rows: int) -> None:
    """The README's table of rows is right."""
    assert len(pd.read_csv(DATA / path)) == rows
    assert re.search(rf"^\| `{path}` \| {rows:,} \|", README, flags=re.MULTILINE)


def test_glucose_has_the_stated_irregularities() -> None:
    """On the five-minute grid, 198 double slots, a tenth of the grid missing in 187 gaps, isig empty 1,061 times."""
    table = pd.read_csv(DATA / "glucose/cgm.csv.gz", parse_dates=["datetime"])
    stamps = table["datetime"]
    gaps = grid_gaps(stamps, "5min")
    assert list(table.columns) == ["datetime", "glucose", "isig"]
    assert stamps.is_monotonic_increasing
    assert (stamps == stamps.dt.floor("5min")).all()
    assert stamps.duplicated().sum() == 198
    assert stamps[stamps.duplicated()].dt.strftime("%m-%d").isin(["05-28", "05-29"]).sum() == 194
    assert (len(gaps), gaps.sum(), gaps.max(), (gaps > 72).sum()) == (187, 5_687, 334, 20)
    assert (stamps.max() - stamps.min()) / pd.Timedelta("5min") + 1 == 57_770
    assert (table["glucose"].min(), table["glucose"].max()) == (40, 400)
    assert ((table["glucose"] == 40).sum(), (table["glucose"] == 400).sum()) == (22, 1)
    empty = stamps[table["isig"].isna()]
    assert (len(empty), str(empty.min().date()), str(empty.max().date())) == (1_061, "2010-08-24", "2010-08-28")


def test_sea_surface_has_the_stated_irregularities() -> None:
    """Half-hourly, two gaps, one stamp with two different readings."""
    table = pd.read_csv(DATA / "sea_surface/sea_surface_temperature.csv.gz")
    stamps = pd.to_datetime(table["time (UTC)"]).dt.tz_localize(None)
    twice = table["temperature (celsius)"][stamps.duplicated(keep=False)]
    assert stamps.is_monotonic_increasing
    assert (stamps == stamps.dt.floor("30min")).all()
    assert grid_gaps(stamps, "30min").tolist() == [1, 23]
    assert twice.tolist() == [4.276, 4.289]


def test_stocks_have_the_stated_rows_and_splits() -> None:
    """Rows per ticker, weekdays only, no date twice, and the closes halve at the three splits."""
    table = pd.read_csv(DATA / "stocks/stocks.csv.gz", parse_dates=["Date"])
    assert table.groupby("Ticker").size().to_dict() == {
        "AAPL": 3270,
        "FB": 196,
        "GOOG": 2148,
        "IBM": 3270,
        "MSFT": 3270,
    }
    assert not table.duplicated(["Ticker", "Date"]).any()
    assert (table["Date"].dt.day_of_week < 5).all()
    assert len(pd.bdate_range("2000-03-01", "2013-03-01")) - 3_270 == 123
    closes = table.pivot(index="Date", columns="Ticker", values="Close")
    for ticker, day in [("AAPL", "2000-06-21"), ("AAPL", "2005-02-28"), ("MSFT", "2003-02-18")]:
        assert 0.45 < closes[ticker].pct_change(fill_method=None).loc[day] + 1 < 0.6
