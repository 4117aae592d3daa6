"""Calendar features, known ahead for every stamp: points on the circle of the day, the week and the year."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Final, Literal

import numpy as np
import pandas as pd
from pandas.tseries.offsets import Day, Tick

from forecasting.config.series import Series
from forecasting.errors import ConfigError
from forecasting.series.frequency import offset_of

__all__ = ["TIME_FEATURES", "calendar", "channel_names", "season_length"]

Stamps = np.ndarray  # (R,) datetime64: whole numbers, where the fields of a pandas Index take ten times as long


def minute(ds: Stamps) -> np.ndarray:
    """Position within the hour, seconds included, (R, 2)."""
    within = _seconds(ds) % 3600
    return _circle(within // 60 + within % 60 / 60, 60)


def hour(ds: Stamps) -> np.ndarray:
    """Position within the day, minutes included, (R, 2)."""
    within = _seconds(ds) % 86_400
    return _circle(within // 3600 + within // 60 % 60 / 60 + within % 60 / 3600, 24)


def day_of_week(ds: Stamps) -> np.ndarray:
    """Day of the week from Monday, (R, 2)."""
    return _circle(_weekday(ds), 7)


def day_of_month(ds: Stamps) -> np.ndarray:
    """Day of the month over the length of that month, (R, 2)."""
    return _circle(*_days_into(ds, "M"))


def day_of_year(ds: Stamps) -> np.ndarray:
    """Day of the year over the length of that year, (R, 2)."""
    return _circle(*_days_into(ds, "Y"))


def week_of_year(ds: Stamps) -> np.ndarray:
    """ISO week of the year, which is that of its Thursday, (R, 2)."""
    thursday = ds.astype("datetime64[D]") + (3 - _weekday(ds))
    return _circle(_days_into(thursday, "Y")[0] // 7, 365.25 / 7)


def month(ds: Stamps) -> np.ndarray:
    """Month of the year, (R, 2)."""
    return _circle(_months(ds), 12)


def quarter(ds: Stamps) -> np.ndarray:
    """Quarter of the year, (R, 2)."""
    return _circle(_months(ds) // 3, 4)


def weekend(ds: Stamps) -> np.ndarray:
    """1 on Saturday and Sunday, else 0, (R, 1)."""
    return (_weekday(ds) >= 5).astype(float)[:, None]


TIME_FEATURES: Final[dict[str, Callable[[Stamps], np.ndarray]]] = {
    "minute": minute,
    "hour": hour,
    "day_of_week": day_of_week,
    "day_of_month": day_of_month,
    "day_of_year": day_of_year,
    "week_of_year": week_of_year,
    "month": month,
    "quarter": quarter,
    "weekend": weekend,
}
_FLAGS: Final = frozenset({"weekend"})  # one channel; all others are a sine and a cosine


def channel_names(names: Sequence[str]) -> list[str]:
    """The channels of `calendar`: `hour` gives `hour_sin, hour_cos`; raise ConfigError for unknown names."""
    _check(names)
    return [channel for name in names for channel in ([name] if name in _FLAGS else [f"{name}_sin", f"{name}_cos"])]


def calendar(ds: Stamps | pd.DatetimeIndex, names: Sequence[str], *, time_zone: str | None = None) -> np.ndarray:
    """The features `names` of every stamp, (R, F) float32; with `time_zone` the UTC stamps are read as local time."""
    _check(names)
    if time_zone is not None:
        ds = pd.DatetimeIndex(ds).tz_localize("UTC").tz_convert(time_zone).tz_localize(None)
    local = np.asarray(ds, dtype="datetime64[us]")
    columns = [TIME_FEATURES[name](local) for name in names]
    return np.concatenate([np.empty((len(local), 0)), *columns], axis=1).astype(np.float32)


def season_of(series: Series) -> int:
    """Steps in a season of these series: as configured, else the natural one."""
    return series.season or season_length(series.freq)


def season_length(freq: str) -> int:
    """Steps in the natural season of `freq`: 24 for h, 288 for 5min, 7 for D, 12 for ME; 1 where there is none.

    Below a minute it is an hour, below a second it is a second. Where a season is no whole number of steps: 1.
    """
    offset = offset_of(freq)
    if isinstance(offset, Tick):
        step = int(offset.nanos)
        season = next((span for limit, span in _SEASONS if step < limit), 7 * _DAY)
    elif isinstance(offset, Day):
        step, season = int(offset.n), 7 if offset.n < 7 else 364
    else:
        step, season = int(offset.n), _CALENDAR_SEASONS.get(offset.rule_code.split("-")[0], 1)
    return season // step if season % step == 0 else 1


_DAY: Final = 86_400 * 10**9
_SEASONS: Final = ((10**9, 10**9), (60 * 10**9, 3600 * 10**9), (_DAY, _DAY))  # steps below a limit, in nanoseconds
_CALENDAR_SEASONS: Final = {
    "B": 5,
    "W": 52,
    **dict.fromkeys(("SME", "SMS"), 24),
    **dict.fromkeys(("ME", "MS", "BME", "BMS"), 12),
    **dict.fromkeys(("QE", "QS", "BQE", "BQS"), 4),
}


def _seconds(ds: Stamps) -> np.ndarray:
    """Whole seconds since 1970 began, as integers."""
    return ds.astype("datetime64[s]").astype(np.int64)


def _weekday(ds: Stamps) -> np.ndarray:
    """Days since Monday; 1970 began on a Thursday."""
    days: np.ndarray = (ds.astype("datetime64[D]").astype(np.int64) + 3) % 7
    return days


def _months(ds: Stamps) -> np.ndarray:
    """Months since January."""
    months: np.ndarray = ds.astype("datetime64[M]").astype(np.int64) % 12
    return months


def _days_into(ds: Stamps, unit: Literal["M", "Y"]) -> tuple[np.ndarray, np.ndarray]:
    """Whole days since the month or year of each stamp began, and how many it has."""
    period = ds.astype(f"datetime64[{unit}]")
    first, last = period.astype("datetime64[D]"), (period + 1).astype("datetime64[D]")
    return (ds.astype("datetime64[D]") - first).astype(np.int64), (last - first).astype(np.int64)


def _circle(position: np.ndarray, period: np.ndarray | float) -> np.ndarray:
    angle = 2 * np.pi * position / period
    return np.stack([np.sin(angle), np.cos(angle)], axis=1)


def _check(names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in TIME_FEATURES]
    if not unknown:
        return
    close = [match for name in unknown for match in difflib.get_close_matches(name, TIME_FEATURES, n=1)]
    hint = f" (did you mean {', '.join(close)}?)" if close else ""
    raise ConfigError(f"series.calendar names {', '.join(unknown)}{hint}; known features: {', '.join(TIME_FEATURES)}")
