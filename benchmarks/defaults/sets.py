"""Public data sets as long tables `unique_id, ds, y`, each with its frequency and a usual horizon."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

__all__ = ["SETS", "DataSet"]


class DataSet(NamedTuple):
    """How a file becomes a long table, and the job that is asked of it."""

    load: Callable[[Path], pd.DataFrame]
    freq: str
    horizon: int


def long(name: str, ds: pd.Series | pd.DatetimeIndex, y: pd.Series | np.ndarray) -> pd.DataFrame:
    """One series."""
    stamps = pd.to_datetime(pd.Series(np.asarray(ds)))
    table = pd.DataFrame({"unique_id": name, "ds": stamps, "y": np.asarray(y, dtype=float)})
    return table.groupby(["unique_id", "ds"], as_index=False)["y"].mean()


def one(path: str, ds: str, y: str, *, layout: str | None = None) -> Callable[[Path], pd.DataFrame]:
    """A file that holds one series."""

    def load(root: Path) -> pd.DataFrame:
        rows = pd.read_csv(root / path, encoding="utf-8-sig")
        return long(Path(path).name.split(".")[0], pd.to_datetime(rows[ds], format=layout), rows[y])

    return load


def numbered(path: str, y: str, start: str, freq: str) -> Callable[[Path], pd.DataFrame]:
    """A file that holds one series without stamps."""

    def load(root: Path) -> pd.DataFrame:
        values = pd.read_csv(root / path)[y]
        return long(Path(path).name.split(".")[0], pd.date_range(start, periods=len(values), freq=freq), values)

    return load


def wide(rows: pd.DataFrame, ds: pd.Series | pd.DatetimeIndex) -> pd.DataFrame:
    """A column a series."""
    parts = [long(str(name), ds, rows[name]).dropna() for name in rows.columns]
    return pd.concat(parts, ignore_index=True)


def ercot(root: Path) -> pd.DataFrame:
    """Eight regions of Texas."""
    rows = pd.read_csv(root / "load/ercot_multiple_ts.csv.gz")
    rows.columns = pd.Index(["unique_id", "ds", "y"])
    return rows.assign(ds=pd.to_datetime(rows["ds"]))


def victoria(root: Path) -> pd.DataFrame:
    """Hourly demand of Victoria, in UTC."""
    rows = pd.read_csv(root / "load/vic_elec.csv.gz")
    demand = rows["Demand"].set_axis(pd.to_datetime(rows["Time"]).dt.tz_localize(None)).resample("h").mean()
    return long("victoria", demand.index, demand)


def solar(root: Path) -> pd.DataFrame:
    """AC power of two plants."""
    rows = pd.read_csv(root / "load/solar_small.csv.gz")
    rows = rows.assign(ds=pd.to_datetime(rows["datetime"]), unique_id=rows["PLANT_ID"].astype(str))
    return rows.groupby(["unique_id", "ds"], as_index=False)["AC_POWER"].mean().rename(columns={"AC_POWER": "y"})


def traffic(root: Path) -> pd.DataFrame:
    """The first 20 detectors of Los Angeles."""
    rows = pd.read_csv(root / "traffic/los_speed.csv.gz").iloc[:, :20]
    return wide(rows, pd.date_range("2012-03-01", periods=len(rows), freq="5min"))


def metro(root: Path) -> pd.DataFrame:
    """Cars on one interstate, after the long outage."""
    rows = pd.read_csv(root / "traffic/Metro_Interstate_Traffic_Volume.csv.gz")
    table = long("metro", rows["date_time"], rows["traffic_volume"])
    return table[table["ds"] >= "2016-01-01"].reset_index(drop=True)


def beijing(root: Path) -> pd.DataFrame:
    """Fine particles, with gaps."""
    rows = pd.read_csv(root / "sensors/beijing_pm25_uci.csv.gz")
    return long("beijing", pd.to_datetime(rows[["year", "month", "day", "hour"]]), rows["pm2.5"]).iloc[24:]


def air_quality(root: Path) -> pd.DataFrame:
    """Carbon monoxide of an Italian city, -200 being a code for missing."""
    rows = pd.read_csv(root / "sensors/AirQualityUCI.csv.gz", encoding="utf-8-sig")
    return long("co", pd.to_datetime(rows["Date"] + " " + rows["Time"]), rows["CO(GT)"].replace(-200, np.nan))


def exchange(root: Path) -> pd.DataFrame:
    """Eight currencies."""
    rows = pd.read_csv(root / "lstnet/exchange_rate_autoformer.csv.gz")
    return wide(rows.drop(columns="date"), pd.to_datetime(rows["date"]))


def stocks(root: Path) -> pd.DataFrame:
    """Adjusted closes of six companies, as business days."""
    rows = pd.read_csv(root / "stocks/adjclose_20_tickers_1989_2018.csv.gz")
    return wide(rows[["AAPL", "GE", "WMT", "XOM", "PFE", "JPM"]].tail(2500), pd.to_datetime(rows["date"]).tail(2500))


def index(root: Path) -> pd.DataFrame:
    """The last twelve years of the Dow Jones."""
    rows = pd.read_csv(root / "stocks/DJI_1928_2010.csv.gz")
    table = long("dow_jones", pd.to_datetime(rows["Date"]), rows["Close"])
    return table.tail(3000).reset_index(drop=True)


def monthlies(root: Path) -> pd.DataFrame:
    """Passengers, wine, milk and ice cream in one panel."""
    files = {
        "passengers": ("classics/AirPassengers.csv", "Month", "#Passengers"),
        "wine": ("classics/wineind.csv", "date", "Y"),
        "milk": ("classics/monthly-milk.csv", "Month", "Pounds per cow"),
        "ice_cream": ("classics/ice_cream_heater.csv", "Month", "ice cream"),
    }
    parts = [
        long(name, pd.to_datetime(rows[ds]), rows[y])
        for name, (path, ds, y) in files.items()
        for rows in [pd.read_csv(root / path)]
    ]
    # each moved to the same last month, so that one backtest covers all
    shifted = [part.assign(ds=pd.date_range(end="2000-12-01", periods=len(part), freq="MS")) for part in parts]
    return pd.concat(shifted, ignore_index=True)


def m3(root: Path) -> pd.DataFrame:
    """A hundred series of the M3 competition of 120 months or more."""
    rows = pd.read_csv(root / "monash/M3Month.csv.gz")
    parts = []
    for _, row in rows[rows["N"] >= 120].iloc[::5].head(100).iterrows():
        values = row.iloc[6:].dropna().astype(float).to_numpy()
        parts.append(long(str(row["Series"]), pd.date_range(end="2000-12-01", periods=len(values), freq="MS"), values))
    return pd.concat(parts, ignore_index=True)


def tourism(root: Path) -> pd.DataFrame:
    """Overnight trips by region and purpose."""
    rows = pd.read_csv(root / "monash/tourism_tsibble.csv.gz")
    name = rows["Region"] + "/" + rows["State"] + "/" + rows["Purpose"]
    quarter = pd.PeriodIndex(rows["Quarter"].str.replace(" ", ""), freq="Q").to_timestamp()
    return pd.DataFrame({"unique_id": name, "ds": quarter, "y": rows["Trips"]})


def m4_weekly(root: Path) -> pd.DataFrame:
    """Sixty weekly series of the M4 competition, their last 400 weeks at most."""
    rows = pd.read_csv(root / "m4/Weekly-train.csv.gz").iloc[::6].head(60)
    parts = []
    for _, row in rows.iterrows():
        values = row.iloc[1:].dropna().astype(float).to_numpy()[-400:]
        parts.append(long(str(row.iloc[0]), pd.date_range(end="2016-12-25", periods=len(values), freq="W"), values))
    return pd.concat(parts, ignore_index=True)


def m4_hourly(root: Path) -> pd.DataFrame:
    """Forty hourly series of the M4 competition."""
    rows = pd.read_csv(root / "m4/Hourly-train.csv.gz").iloc[::10].head(40)
    parts = []
    for _, row in rows.iterrows():
        values = row.iloc[1:].dropna().astype(float).to_numpy()
        parts.append(long(str(row.iloc[0]), pd.date_range(end="2016-12-25", periods=len(values), freq="h"), values))
    return pd.concat(parts, ignore_index=True)


def weekly(path: str, ds: str, y: str, layout: str | None = None) -> Callable[[Path], pd.DataFrame]:
    """A weekly series, each week at its Sunday."""

    def load(root: Path) -> pd.DataFrame:
        rows = pd.read_csv(root / path)
        stamps = pd.to_datetime(rows[ds].astype(str), format=layout)
        sunday = stamps + pd.to_timedelta(6 - stamps.dt.day_of_week, unit="D")
        return long(Path(path).stem, sunday, rows[y])

    return load


SETS: Final[dict[str, DataSet]] = {
    "aep": DataSet(one("load/AEP_hourly.csv.gz", "Datetime", "AEP_MW"), "h", 24),
    "ercot": DataSet(ercot, "h", 24),
    "victoria": DataSet(victoria, "h", 24),
    "taylor": DataSet(numbered("load/taylor.csv.gz", "Y", "2000-06-05", "30min"), "30min", 48),
    "solar": DataSet(solar, "15min", 48),
    "traffic": DataSet(traffic, "5min", 12),
    "metro": DataSet(metro, "h", 24),
    "power_hourly": DataSet(one("sensors/household_power_hourly.csv.gz", "datetime", "Global_active_power"), "h", 24),
    "power_daily": DataSet(one("sensors/household_power_daily.csv.gz", "datetime", "Global_active_power"), "D", 7),
    "beijing": DataSet(beijing, "h", 24),
    "air_quality": DataSet(air_quality, "h", 24),
    "jena": DataSet(
        one("sensors/jena_climate_jan2009.csv.gz", "Date Time", "T (degC)", layout="%d.%m.%Y %H:%M:%S"), "10min", 36
    ),
    "turbine": DataSet(one("sensors/turbine_emission.csv.gz", "datetime", "TEY"), "h", 24),
    "nyc_taxi": DataSet(one("sensors/nab/nyc_taxi.csv.gz", "timestamp", "value"), "30min", 48),
    "cpu": DataSet(one("sensors/nab/cpu_utilization_asg_misconfiguration.csv.gz", "timestamp", "value"), "5min", 12),
    "machine": DataSet(one("sensors/nab/machine_temperature_system_failure.csv.gz", "timestamp", "value"), "5min", 12),
    "office": DataSet(one("sensors/nab/ambient_temperature_system_failure.csv.gz", "timestamp", "value"), "h", 24),
    "exchange": DataSet(exchange, "D", 14),
    "stocks": DataSet(stocks, "B", 5),
    "dow_jones": DataSet(index, "B", 5),
    "monthlies": DataSet(monthlies, "MS", 12),
    "m3_monthly": DataSet(m3, "MS", 18),
    "tourism": DataSet(tourism, "QS", 8),
    "gasoline": DataSet(weekly("classics/us_gasoline.csv", "Week", "Gasoline", "%m/%d/%Y"), "W", 8),
    "co2": DataSet(weekly("classics/statsmodels_co2.csv", "date", "co2", "%Y%m%d"), "W", 13),
    "m4_weekly": DataSet(m4_weekly, "W", 13),
    "m4_hourly": DataSet(m4_hourly, "h", 48),
    "peyton": DataSet(one("classics/peyton_manning.csv", "ds", "y"), "D", 14),
    "melbourne": DataSet(one("classics/daily-min-temperatures.csv", "Date", "Temp"), "D", 14),
    "seattle": DataSet(one("classics/seattle-weather.csv", "date", "temp_max"), "D", 7),
    "sunspots": DataSet(one("classics/monthly-sunspots.csv", "Month", "Sunspots"), "MS", 24),
}
