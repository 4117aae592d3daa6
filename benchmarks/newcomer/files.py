"""Public data under names that say nothing, in layouts that people send; each with what its owner would say of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

__all__ = ["FILES", "Stranger"]


class Stranger(NamedTuple):
    """A file that nobody has described: how it is written, the steps to forecast, and the keys that are right."""

    kind: str
    write: Callable[[Path, Path], Path]
    horizon: int
    expected: Mapping[str, Any]


def _anonymous(rows: pd.DataFrame) -> pd.DataFrame:
    """The columns as c1, c2, …"""
    return rows.set_axis([f"c{number}" for number in range(1, rows.shape[1] + 1)], axis=1)


def wide_closes(root: Path, folder: Path) -> Path:
    """A column a share, the last six years; days first."""
    rows = pd.read_csv(root / "stocks/adjclose_20_tickers_1989_2018.csv.gz").tail(1500)
    rows = rows[rows.columns[:11]].dropna(axis=1)
    days = pd.to_datetime(rows.pop(rows.columns[0])).dt.strftime("%d/%m/%Y")
    path = folder / "a.csv"
    _anonymous(pd.concat([days, rows], axis=1)).to_csv(path, index=False)
    return path


def regions_with_commas(root: Path, folder: Path) -> Path:
    """Eight regions one below the other, as a European spreadsheet writes them."""
    rows = pd.read_csv(root / "load/ercot_multiple_ts.csv.gz")
    rows.iloc[:, 1] = pd.to_datetime(rows.iloc[:, 1]).dt.strftime("%d.%m.%Y %H:%M")
    path = folder / "b.csv"
    _anonymous(rows).to_csv(path, index=False, sep=";", decimal=",", encoding="cp1252")
    return path


def stuttering_sensor(root: Path, folder: Path) -> Path:
    """A sensor that reports about every hour, in seconds since 1970, a tenth never, some twice; no header."""
    rows = pd.read_csv(root / "sensors/nab/ambient_temperature_system_failure.csv.gz")
    draw = np.random.default_rng(1)
    seconds = pd.to_datetime(rows["timestamp"]).astype("datetime64[s]").astype("int64")
    seconds = seconds + draw.integers(-300, 300, len(rows))
    table = pd.DataFrame({"time": seconds, "value": rows["value"].round(3)})[draw.random(len(rows)) > 0.1]
    path = folder / "c.txt"
    pd.concat([table, table.sample(200, random_state=1)]).to_csv(path, index=False, header=False, sep="\t")
    return path


def prices_known_ahead(root: Path, folder: Path) -> Path:
    """Four markets with two forecasts of others, which go on for a day after the last price."""
    rows = pd.read_csv(root / "load/electricity-short-with-ex-vars.csv.gz").iloc[:, :5]
    rows["ds"] = pd.to_datetime(rows["ds"])
    last = rows.groupby("unique_id").cumcount(ascending=False) < 24
    rows["y"] = rows["y"].mask(last)
    path = folder / "d.parquet"
    _anonymous(rows).to_parquet(path)
    return path


def dates_in_four_columns(root: Path, folder: Path) -> Path:
    """Polluted air: year, month, day, and hour apart, a label among numbers, and NA where there is no reading."""
    rows = pd.read_csv(root / "sensors/beijing_pm25_uci.csv.gz").tail(8000).drop(columns="No")
    rows = rows.rename(columns=dict(zip(rows.columns[4:], "pqrstuvw", strict=False)))
    path = folder / "e.csv"
    rows.to_csv(path, index=False, na_rep="NA")
    return path


def weeks_backwards(root: Path, folder: Path) -> Path:
    """Barrels a week, the latest first, months before days, as JSON lines."""
    path = folder / "f.jsonl"
    _anonymous(pd.read_csv(root / "classics/us_gasoline.csv")).to_json(path, orient="records", lines=True)
    return path


def beats_without_time(root: Path, folder: Path) -> Path:
    """A heart, twice a second; nothing says when."""
    path = folder / "g.csv"
    _anonymous(pd.read_csv(root / "classics/heart_rate.csv")).to_csv(path, index=False)
    return path


FILES: Final[Mapping[str, Stranger]] = {
    "closes": Stranger(
        "wide, a column a share, days before months",
        wide_closes,
        5,
        {
            "source.columns.ds": "c1",
            "source.columns.layout": "wide",
            "source.date_format": "%d/%m/%Y",
            "series.freq": "B",
        },
    ),
    "regions": Stranger(
        "long, 8 regions, semicolons, decimal commas",
        regions_with_commas,
        24,
        {
            "source.separator": ";",
            "source.decimal": ",",
            "source.columns.unique_id": "c1",
            "source.columns.ds": "c2",
            "source.date_format": "%d.%m.%Y %H:%M",
            "source.columns.y": "c3",
            "series.freq": "h",
        },
    ),
    "sensor": Stranger(
        "irregular and doubled readings, seconds since 1970, tabs, no header",
        stuttering_sensor,
        24,
        {"source.separator": "\t", "source.header": False, "series.freq": "h", "series.aggregate": "mean"},
    ),
    "markets": Stranger(
        "Parquet, 4 markets, 2 columns known ahead",
        prices_known_ahead,
        24,
        {
            "source.columns.unique_id": "c1",
            "source.columns.ds": "c2",
            "source.columns.y": "c3",
            "series.future": ["c4", "c5"],
            "series.freq": "h",
        },
    ),
    "air": Stranger(
        "the date in four columns, a label, NA",
        dates_in_four_columns,
        24,
        {
            "source.columns.ds": ["year", "month", "day", "hour"],
            "source.columns.y": "p",
            "series.categorical": ["t"],
            "series.freq": "h",
        },
    ),
    "weeks": Stranger(
        "JSON lines, the latest first, months before days",
        weeks_backwards,
        8,
        {"source.columns.ds": "c1", "source.columns.y": "c2", "source.date_format": "%m/%d/%Y", "series.freq": "W-FRI"},
    ),
    "beats": Stranger("one column of numbers and no time", beats_without_time, 60, {"source.columns.y": "c1"}),
}
