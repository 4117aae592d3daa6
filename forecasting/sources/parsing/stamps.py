"""Texts, numbers and dates into stamps: UTC without a zone, or plain dates where a step is a day or longer."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from forecasting.series.frequency import EARLIEST, LATEST, is_calendar, offset_of

__all__ = ["Clock", "as_text", "concatenate", "examples", "join", "steps", "to_utc"]

_PARTS = ("%Y", "%m", "%d", "%H", "%M", "%S")
_STEP_ORIGIN = "2000-01-01"
_MOST_STEPS = 10_000_000
_OFFSET = r"(?:\dZ|[T ]\d{2}:?\d{2}\S*\s?[+-]\d{2}:?(?:\d{2})?)$"  # a stamp that says its own distance from UTC
_UNIX = {"unix": 1_000_000, "unix_ms": 1000}  # microseconds
_CALENDAR_QUARTERS = {"QS": 1, "BQS": 1, "QE": 0, "BQE": 0}  # the month of a step that is one, modulo 3
_QUARTER = r"^(?:(?P<year>\d{4})[- ]?[Qq](?P<quarter>[1-4])|[Qq](?P<first>[1-4])[-/ ]?(?P<last>\d{4}))$"
_FARTHEST = 9e18  # microseconds that datetime64 can hold
_AHEAD = r"([+-])(\d{2}):?(\d{2})?$"  # the distance itself


@dataclass(frozen=True)
class Clock:
    """How a source writes its stamps: layouts tried in order (none: ISO 8601), zone of local ones, their frequency."""

    formats: tuple[str, ...]
    time_zone: str | None
    freq: str


def join(parts: list[pd.Series], clock: Clock) -> tuple[pd.Series, Clock]:
    """One column of several (date and time, or year, month, day, hour), and the clock that reads it."""
    if len(parts) == 1:
        return parts[0], clock
    joined = concatenate(parts, " ")
    plain = len(parts) <= len(_PARTS) and joined.dropna().str.fullmatch(r"\d{1,4}( \d{1,2})+").all()
    if plain and not clock.formats:
        clock = Clock((" ".join(_PARTS[: len(parts)]),), clock.time_zone, clock.freq)
    return joined, clock


def to_utc(raw: pd.Series, ids: pd.Series, clock: Clock) -> tuple[pd.Series, list[str]]:
    """Stamps of `raw` as datetime64[us] (NaT where there is none), and one sentence per kind of unreadable stamp.

    Local times of the autumn hour that occurs twice are told apart by their order within each series: first
    daylight saving, then standard time. Where it occurs once, it is taken as daylight saving time.
    """
    stamps, absolute = _parse(raw, clock)
    unreadable = raw[stamps.isna() & raw.notna()]
    problems = [_unreadable(unreadable, clock)] if len(unreadable) else []
    far = (stamps < EARLIEST) | (stamps > LATEST)
    if far.any():
        problems.append(_far(raw[far], stamps[far], clock))
        return stamps.mask(far), problems
    if is_calendar(clock.freq):
        return _as_dates(raw, stamps, absolute, clock, problems), problems
    if clock.time_zone is None:
        return stamps, problems
    utc = _from_local(stamps, ids, clock.time_zone)
    skipped = raw[utc.isna() & stamps.notna() & ~absolute]
    if len(skipped):
        problems.append(
            f"{len(skipped)} stamp(s) do not exist in {clock.time_zone}, whose clocks skip them in spring: "
            f"{examples(skipped)}; if the stamps are in UTC, or mark the end of an interval, leave out source.time_zone"
        )
    return utc.mask(absolute, stamps), problems


def concatenate(parts: list[pd.Series], separator: str) -> pd.Series:
    """The texts of several columns as one, NaN where any of them is empty."""
    joined = as_text(parts[0])
    for part in parts[1:]:
        joined = joined + separator + as_text(part)
    return joined


def as_text(raw: pd.Series) -> pd.Series:
    """Any column as stripped text, NaN where empty; whole numbers lose their fraction (2004.0 is "2004")."""
    if pd.api.types.is_bool_dtype(raw) or not pd.api.types.is_numeric_dtype(raw):
        text = raw.where(raw.isna(), raw.astype("str")).astype("str").str.strip()
        return text.mask(text == "")
    whole = raw.dropna()
    if pd.api.types.is_float_dtype(raw) and (whole % 1 == 0).all():
        raw = raw.astype("Int64")
    return raw.astype("str").mask(raw.isna())


def examples(rows: pd.Series) -> str:
    """Up to five values with their rows: `row 2 '11:34', …`."""
    shown = ", ".join(f"row {row} {str(value)!r}" for row, value in rows.head(5).items())
    return shown + (", …" if len(rows) > 5 else "")


def steps(count: int, freq: str) -> pd.DatetimeIndex:
    """The stamps of that many steps of `freq` from the origin that all steps without a date have."""
    return pd.date_range(_STEP_ORIGIN, periods=count, freq=offset_of(freq), unit="us")


def _parse(raw: pd.Series, clock: Clock) -> tuple[pd.Series, pd.Series]:
    if pd.api.types.is_datetime64_any_dtype(raw) and not clock.formats:
        absolute = pd.Series(raw.dt.tz is not None, index=raw.index)
        naive = raw.dt.tz_convert("UTC").dt.tz_localize(None) if raw.dt.tz is not None else raw
        return naive.astype("datetime64[us]"), absolute
    text = as_text(raw)
    stamps = _never(raw)
    absolute = text.str.contains(_OFFSET, na=False)
    for layout in clock.formats or ("ISO8601", "period"):
        todo = stamps.isna()
        read = _read(text[todo], layout, clock.freq)
        stamps = stamps.where(~todo, read)
        if layout in _UNIX or "%z" in layout:
            absolute |= todo & stamps.notna()
    return stamps, absolute


def _read(text: pd.Series, layout: str, freq: str) -> pd.Series:
    if layout in _UNIX:
        counted = pd.to_numeric(text, errors="coerce") * _UNIX[layout]
        return counted.clip(-_FARTHEST, _FARTHEST).round().astype("Int64").astype("datetime64[us]")
    if layout == "period":
        return _periods(text, freq)
    if layout == "step":
        count = pd.to_numeric(text, errors="coerce")
        count = count.where((count % 1 == 0) & count.between(0, _MOST_STEPS))
        stamps = steps(int(count.max()) + 1 if count.notna().any() else 1, freq)
        return count.map(pd.Series(stamps)).astype("datetime64[us]")
    parsed = pd.to_datetime(text, format=layout, errors="coerce", utc=True)
    return parsed.dt.tz_localize(None).astype("datetime64[us]")


def _periods(text: pd.Series, freq: str) -> pd.Series:
    """Labels of quarters (2024Q1, Q1 2024) or ISO weeks (2024-W05) as the date that `freq` calls that step by.

    Only where a step is one: a quarter of a fiscal year has no label that everybody reads alike.
    """
    offset = offset_of(freq).base
    month = _CALENDAR_QUARTERS.get(offset.rule_code.partition("-")[0])
    if month is not None and getattr(offset, "startingMonth", 0) % 3 == month:
        parts = text.str.extract(_QUARTER)
        year, quarter = (pd.to_numeric(parts[a].fillna(parts[b])) for a, b in (("year", "last"), ("quarter", "first")))
        begin = pd.to_datetime({"year": year, "month": 3 * quarter - 2, "day": 1})
    elif isinstance(offset, pd.offsets.Week):
        begin = pd.to_datetime(text.str.replace("-", "", regex=False) + "1", format="%GW%V%u", errors="coerce")
    else:
        return _never(text)
    dates: pd.Series = begin.map(offset.rollforward, na_action="ignore").astype("datetime64[us]")
    return dates


def _never(text: pd.Series) -> pd.Series:
    return pd.Series(pd.NaT, index=text.index, dtype="datetime64[us]")


def _as_dates(raw: pd.Series, stamps: pd.Series, absolute: pd.Series, clock: Clock, problems: list[str]) -> pd.Series:
    """Local dates: those of the zone that the source names, else those of the zone in which they are written."""
    if clock.time_zone is not None:
        local = stamps.dt.tz_localize("UTC").dt.tz_convert(clock.time_zone).dt.tz_localize(None)
        return stamps.mask(absolute, local)
    written = stamps.mask(absolute, _as_written(raw, stamps))
    within = absolute & (written != written.dt.normalize()) & written.notna()
    if within.any():
        problems.append(
            f"{within.sum()} stamp(s) with a zone of their own do not begin a day there: {examples(raw[within])};"
            f" a step of {clock.freq} is known by its local date: name its zone in source.time_zone, e.g. Europe/Vienna"
        )
    return written


def _as_written(raw: pd.Series, utc: pd.Series) -> pd.Series:
    """The clock times that stamps with a zone or a distance from UTC show."""
    if isinstance(raw.dtype, pd.DatetimeTZDtype):
        plain: pd.Series = raw.dt.tz_localize(None).astype("datetime64[us]")
        return plain
    parts = as_text(raw).str.extract(_AHEAD)
    minutes = pd.to_numeric(parts[1]).fillna(0) * 60 + pd.to_numeric(parts[2]).fillna(0)
    ahead = pd.to_timedelta(minutes.where(parts[0] != "-", -minutes), unit="min").astype("timedelta64[us]")
    written: pd.Series = utc + ahead
    return written


def _from_local(stamps: pd.Series, ids: pd.Series, time_zone: str) -> pd.Series:
    unclear = stamps[stamps.dt.tz_localize(time_zone, ambiguous="NaT", nonexistent="NaT").isna() & stamps.notna()]
    groups = unclear.groupby([ids[unclear.index], unclear])
    # in a file that runs newest first, the second occurrence is read first
    descending = bool((stamps.diff() < pd.Timedelta(0)).mean() > 0.5)
    occurrence = groups.cumcount(ascending=not descending)
    daylight = pd.Series(True, index=stamps.index)
    daylight[unclear.index] = 2 * occurrence < groups.transform("size")
    local = stamps.dt.tz_localize(time_zone, ambiguous=daylight.to_numpy(), nonexistent="NaT")
    utc: pd.Series = local.dt.tz_convert("UTC").dt.tz_localize(None)
    return utc


def _far(rows: pd.Series, stamps: pd.Series, clock: Clock) -> str:
    finer = "are these milliseconds? then set source.date_format: unix_ms" if "unix" in clock.formats else ""
    return (
        f"{len(rows)} stamp(s) outside the years 1700 to 2250: {examples(rows)}, the first in the year"
        f" {stamps.iloc[0].year}; {finer or 'correct the rows'}"
    )


def _unreadable(rows: pd.Series, clock: Clock) -> str:
    expected = " or ".join(clock.formats) or "ISO 8601, such as 2024-01-31 or 2024-01-31 18:00:00"
    remedy = "correct source.date_format" if clock.formats else "name their layout in source.date_format, e.g. %d.%m.%Y"
    return f"{len(rows)} unreadable stamp(s): {examples(rows)}; expected {expected}; correct the rows or {remedy}"
