"""Holidays and events: days that are known ahead, with the days before and after them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import cache
from typing import Final

import numpy as np
import pandas as pd

from forecasting.config.frequency import begins_a_step
from forecasting.config.series import Series
from forecasting.errors import ConfigError
from forecasting.series.frequency import fixed_step, offset_of

__all__ = ["HOLIDAY", "channel_names", "channels", "resolve"]

Days = tuple[date, ...]

HOLIDAY: Final = "holiday"
_YEARS_AHEAD: Final = 10  # for which a model knows its holidays
_SHOWN: Final = 10  # wrong rows of a file in one message


def resolve(series: Series, first: pd.Timestamp, last: pd.Timestamp) -> dict[str, Days]:
    """The days of the holidays and of each event that a job names, by channel, for readings from `first` to `last`.

    Events that never took place in that time are left out: nothing can be learned of them. Raises ConfigError where a
    region is unknown, or a file cannot be read.
    """
    known = {} if series.holidays is None else {HOLIDAY: _holidays(series.holidays, first.year, last.year)}
    listed = {} if series.events is None else _events(series.events)
    seen = {name: days for name, days in listed.items() if any(first.date() <= day <= last.date() for day in days)}
    return known | {f"event:{name}": days for name, days in sorted(seen.items())}


def channel_names(names: Sequence[str], around: int) -> list[str]:
    """The channels of `channels`: `holiday` gives `holiday-1, holiday, holiday+1` with one day around."""
    return [f"{name}{offset:+d}" if offset else name for name in names for offset in range(-around, around + 1)]


def channels(ds: np.ndarray, dates: Mapping[str, Days], around: int, *, freq: str, time_zone: str | None) -> np.ndarray:
    """How many of the days of each channel lie in the step of every stamp, (R, F) float32.

    A step of hours or minutes lies in one day, that of the local clock; one of weeks or months holds all of its days.
    """
    if time_zone is not None:
        ds = pd.DatetimeIndex(ds).tz_localize("UTC").tz_convert(time_zone).tz_localize(None).to_numpy()
    low, high = _spans(np.asarray(ds, dtype="datetime64[us]"), freq)
    columns = [
        days.searchsorted(high, side="right") - days.searchsorted(low)
        for name in dates
        for days in _around(dates[name], around)
    ]
    return np.stack(columns, axis=1).astype(np.float32) if columns else np.empty((len(ds), 0), dtype=np.float32)


@cache
def _around(days: Days, around: int) -> tuple[np.ndarray, ...]:
    """The days, as sorted whole numbers, and those so many days before a first one and after a last one."""
    each = np.unique(np.array(days, dtype="datetime64[D]").astype(np.int64))
    edge = np.diff(each) > 1
    first, last = each[np.append(True, edge)], each[np.append(edge, True)]
    before = [first - offset for offset in range(around, 0, -1)]
    return (*before, each, *(last + offset for offset in range(1, around + 1)))


def _spans(stamps: np.ndarray, freq: str) -> tuple[np.ndarray, np.ndarray]:
    """First and last day of the step of every stamp, as whole numbers."""
    day, step = stamps.astype("datetime64[D]").astype(np.int64), fixed_step(freq)
    if step is not None:
        return day - max(int(step / np.timedelta64(1, "D")) - 1, 0), day
    offset = offset_of(freq)
    if offset.rule_code == "B":
        return day, day
    found, which = np.unique(stamps, return_inverse=True)
    begins = begins_a_step(freq)
    other = [pd.Timestamp(stamp) + offset if begins else pd.Timestamp(stamp) - offset for stamp in found]
    edge = np.array(other, dtype="datetime64[D]").astype(np.int64)[which]
    return (day, edge - 1) if begins else (edge + 1, day)


def _holidays(region: str, first: int, last: int) -> Days:
    """The holidays of a country or of a part of it."""
    try:
        import holidays
    except ImportError as error:
        raise ConfigError("series.holidays needs the package holidays: install gatecast[train]") from error
    country, _, part = region.partition("-")
    years = range(first, last + 1 + _YEARS_AHEAD)
    try:
        return tuple(sorted(holidays.country_holidays(country, subdiv=part or None, years=years)))
    except NotImplementedError as error:
        raise ConfigError(f"series.holidays: {region} is unknown to the package holidays: {error}") from error


def _events(path: str) -> dict[str, Days]:
    """The days of every event in a CSV file of the columns ds, name, and until, which is its last day."""
    try:
        rows = pd.read_csv(path, dtype="str", skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise ConfigError(f"series.events: cannot read {path}: {error}") from error
    missing = [name for name in ("ds", "name") if name not in rows]
    if missing:
        raise ConfigError(
            f"series.events: {path} lacks the column {' and '.join(missing)}; it has {', '.join(rows.columns)}"
        )
    begin = pd.to_datetime(rows["ds"], format="ISO8601", errors="coerce")
    until = pd.to_datetime(rows["until"], format="ISO8601", errors="coerce") if "until" in rows else begin
    until = until.where(rows["until"].notna(), begin) if "until" in rows else until
    _check_rows(path, rows["name"].isna() | begin.isna() | until.isna() | (until < begin))
    found: dict[str, set[date]] = {}
    for name, first, last in zip(rows["name"], begin.dt.date, until.dt.date, strict=True):
        found.setdefault(name, set()).update(first + timedelta(days=day) for day in range((last - first).days + 1))
    return {name: tuple(sorted(days)) for name, days in found.items()}


def _check_rows(path: str, wrong: pd.Series) -> None:
    if wrong.any():
        lines = ", ".join(str(line + 2) for line in np.flatnonzero(wrong)[:_SHOWN])  # the header is line 1
        raise ConfigError(
            f"series.events: {int(wrong.sum())} row(s) of {path} need a name, a date such as 2024-01-31, and an until"
            f" that is not before it: line {lines}"
        )
