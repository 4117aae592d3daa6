"""Which columns hold the stamps, and in which layout."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import pandas as pd

from forecasting.errors import SourceError
from forecasting.inspection.findings import Found
from forecasting.series.frequency import fitting
from forecasting.sources.parsing.stamps import Clock, as_text, concatenate, to_utc

__all__ = ["Stamps", "describe_stamps"]

_NAMES: Final = re.compile(
    r"(ds|dates?|time|times?tamps?|stamp|datetime|date[ _]?time|day|month|week|quarter|period|year|zeit\w*|datum|tag|"
    r"fecha|date_heure|when|measured_at|created_at|recorded_at)",
    re.IGNORECASE,
)
_COUNTERS: Final = re.compile(r"(step|t|index|cycle|tick|i|n|time|x|)", re.IGNORECASE)
_PARTS: Final = (("year", "yr", "jahr"), ("month", "mon", "monat"), ("day", "tag", "dy"), ("hour", "hr", "stunde"))


def _clock(sign: int) -> str:
    """The pattern of a time of day whose sign is that group."""
    return rf"\d{{1,2}}([:.])\d{{2}}(?:\{sign}\d{{2}})?"


_DATE: Final = re.compile(rf"(\d{{1,4}})([-/.])(\d{{1,2}})\2(\d{{1,4}})(?:([ T]){_clock(6)}(\.\d+)?( ?[AaPp][Mm])?)?$")
_WORDED: Final = tuple(
    f"{date}{clock}"
    for date in ("%d-%b-%Y", "%d %b %Y", "%d-%b-%y", "%b %d, %Y", "%B %d, %Y", "%d %B %Y", "%b %Y", "%Y %b", "%b-%y")
    for clock in ("", " %H:%M", " %H:%M:%S")
)
_PERIOD: Final = r"\d{4}[- ]?[Qq][1-4]|[Qq][1-4][-/ ]?\d{4}|\d{4}-?W\d{2}"
_MOST: Final = 0.98  # of the cells that a layout must read
_SAMPLE: Final = 5000
_ORDERED: Final = 0.9  # of the steps between stamps without a name


class Stamps(NamedTuple):
    """The columns that hold the stamps (none: rows are counted), and the stamps as they are read."""

    columns: tuple[str, ...]
    stamps: pd.Series
    own_zone: bool  # they say their distance from UTC


class _Layout(NamedTuple):
    formats: tuple[str, ...]  # as in source.date_format; none: ISO 8601 or a label of a period
    why: str
    other: tuple[str, ...] | None = None  # another layout that reads as much


def describe_stamps(frame: pd.DataFrame, findings: Found, *, text: bool) -> Stamps:
    """Find `source.columns.ds` and `source.date_format`, or `source.start` for a text file without stamps.

    Raises SourceError for another source without any.
    """
    split = _split(frame)
    single = {} if split else {str(name): layout for name in frame if (layout := _layout(frame[name], str(name)))}
    if split:
        columns, layout = split, _Layout((), "the parts of a date, each in a column of its own")
    elif single:
        columns, layout = _chosen(frame, single, findings)
    else:
        return _counted(frame, findings, text=text)
    findings.add("source.columns.ds", columns[0] if len(columns) == 1 else list(columns), layout.why)
    formats = _settled(frame, columns, layout, findings)
    return Stamps(columns, *_read(frame, columns, formats))


def _chosen(frame: pd.DataFrame, single: dict[str, _Layout], findings: Found) -> tuple[tuple[str, ...], _Layout]:
    """The column of stamps among several: by its name, else the first; with the time of day beside a plain date."""
    named = [name for name in single if _NAMES.fullmatch(name.strip())]
    first = (named or list(single))[0]
    if len(single) > 1:
        first = findings.guess("source.columns.ds", first, "the first column of stamps", tuple(single))
    layout = single[first]
    clock = next((str(name) for name in frame if name not in single and _is_clock(frame[name])), None)
    dated = as_text(frame[first]).dropna()
    if clock is None or dated.str.contains(r"\d[ T]\d{1,2}[:.]", regex=True).any():
        return (first,), layout
    times = as_text(frame[clock]).dropna()
    sign = "." if times.str.contains(".", regex=False).all() else ":"
    parts = sign.join(("%H", "%M", "%S")[: times.iloc[0].count(sign) + 1])
    plain = not layout.formats and sign == ":"
    formats = () if plain else tuple(f"{one} {parts}" for one in layout.formats or ("%Y-%m-%d",))
    other = None if layout.other is None else tuple(f"{one} {parts}" for one in layout.other)
    return (first, clock), _Layout(formats, "a column of dates and one of times", other)


def _settled(frame: pd.DataFrame, columns: tuple[str, ...], layout: _Layout, findings: Found) -> tuple[str, ...]:
    """The layout; where the day and the month could be either, the one that makes regular steps, or a question."""
    if layout.other is None:
        if layout.formats:
            findings.add("source.date_format", _plain(layout.formats), layout.why)
        return layout.formats
    regular = [_regular(_read(frame, columns, formats)[0]) for formats in (layout.formats, layout.other)]
    first, second = (layout.formats, layout.other) if regular[0] >= regular[1] else (layout.other, layout.formats)
    if regular[0] != regular[1]:
        findings.add("source.date_format", _plain(first), "day and month in this order give regular steps")
        return first
    answer = findings.guess(
        "source.date_format", _plain(first), "day and month could be in either order", (_plain(first), _plain(second))
    )
    return (answer,) if isinstance(answer, str) else tuple(answer)


def _plain(formats: tuple[str, ...]) -> str | list[str]:
    return formats[0] if len(formats) == 1 else list(formats)


def _read(frame: pd.DataFrame, columns: tuple[str, ...], formats: tuple[str, ...]) -> tuple[pd.Series, bool]:
    raw = frame[columns[0]] if len(columns) == 1 else concatenate([frame[name] for name in columns], " ")
    if len(columns) > 1 and not formats and not raw.dropna().str.contains(":").any():
        formats = (" ".join(("%Y", "%m", "%d", "%H")[: len(columns)]),)
    quarters = as_text(raw.head(50)).str.fullmatch(_PERIOD).fillna(False).any() and not formats
    weeks = quarters and as_text(raw.head(50)).str.contains("W").any()
    freq = "W-MON" if weeks else "QS" if quarters else "h"
    stamps, _ = to_utc(raw, pd.Series("", index=raw.index), Clock(formats, None, freq))
    zoned = isinstance(raw.dtype, pd.DatetimeTZDtype)
    zoned |= bool(as_text(raw.head(50)).str.contains(r"[T ]\d{2}:?\d{2}.*(?:Z|[+-]\d{2}:?\d{2})$", regex=True).any())
    return stamps, zoned


def _layout(column: pd.Series, name: str) -> _Layout | None:
    """How a column writes stamps; none if it does not."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return _Layout((), "stamps already")
    text = as_text(column).dropna()
    text = text.iloc[:: max(1, len(text) // _SAMPLE)]
    if text.empty or _is_clock(column):
        return None
    if pd.api.types.is_numeric_dtype(column) or text.str.fullmatch(r"\d+").all():
        return _of_digits(text, name)
    if text.str.fullmatch(_PERIOD).mean() >= _MOST:
        return _Layout((), "labels of quarters or weeks")
    if text.str.match(r"\d{4}-\d{1,2}").mean() >= _MOST and _reads(text, ()):
        return _Layout((), "ISO 8601")
    parts = text.str.extract(_DATE)
    if parts[0].notna().mean() >= _MOST:
        layout = _of_parts(text, parts)
        return layout if _reads(text, layout.formats) else None
    found = next((one for one in _WORDED if _reads(text, (one,))), None)
    return _Layout((found,), "months by their names") if found else None


def _of_digits(text: pd.Series, name: str) -> _Layout | None:
    """Stamps that are numbers: of a day, a month, a year, or of seconds since 1970."""
    sizes = text.str.len()
    size = int(sizes.iloc[0])
    if (sizes != size).any():
        return None
    named = _NAMES.fullmatch(name.strip()) is not None
    number = pd.to_numeric(text)
    if size == 8 and _reads(text, ("%Y%m%d",)):
        return _Layout(("%Y%m%d",), "eight digits that are a date")
    if size == 6 and named and _reads(text, ("%Y%m",)):
        return _Layout(("%Y%m",), "six digits that are a month")
    if size == 4 and number.between(1700, 2250).all() and (named or number.diff().dropna().eq(1).all()):
        return _Layout(("%Y",), "years")
    if size in (10, 13) and (named or _in_order(number)):
        layout = "unix" if size == 10 else "unix_ms"
        return _Layout((layout,), f"{'seconds' if size == 10 else 'milliseconds'} since 1970")
    return None


def _in_order(number: pd.Series) -> bool:
    """Whether most rows follow the one before them in time, or most go back in time."""
    steps = number.diff().dropna()
    return bool(max((steps >= 0).mean(), (steps <= 0).mean()) >= _ORDERED)


def _of_parts(text: pd.Series, parts: pd.DataFrame) -> _Layout:
    """A layout of three numbers with a sign between them, and a time of day where there is one."""
    sign, rows = parts[1].mode().iloc[0], parts.dropna(subset=[0])
    first, second, third = (pd.to_numeric(rows[place]) for place in (0, 2, 3))
    clock = _clock_of(text)
    if (rows[0].str.len() == 4).all():
        return _Layout((f"%Y{sign}%m{sign}%d{clock}",), "year, month, day")
    year = "%Y" if (rows[3].str.len() == 4).mean() > 0.5 else "%y"
    if year == "%y" and third.max() <= 31 and first.max() > 31:
        return _Layout((f"%y{sign}%m{sign}%d{clock}",), "year, month, day")
    days, months = f"%d{sign}%m{sign}{year}{clock}", f"%m{sign}%d{sign}{year}{clock}"
    if first.max() > 12:
        return _Layout((days,), f"the first number reaches {first.max()}, so it is the day")
    if second.max() > 12:
        return _Layout((months,), f"the second number reaches {second.max()}, so it is the day")
    likely = (days, months) if sign == "." else (months, days)
    return _Layout((likely[0],), "day and month could be in either order", (likely[1],))


def _clock_of(text: pd.Series) -> str:
    """The layout of the time of day behind a date; empty without one."""
    found = text.str.extract(rf"\d([ T])({_clock(3)})(\.\d+)?( ?[AaPp][Mm])?$").dropna(subset=[1])
    if found.empty:
        return ""
    gap, time, sign, fraction, half = found.iloc[0]
    parts = [("%I" if isinstance(half, str) else "%H"), "%M", "%S"][: time.count(sign) + 1]
    tail = ".%f" if isinstance(fraction, str) else ""
    tail += half.replace(half.strip(), "%p") if isinstance(half, str) else ""
    return f"{gap}{sign.join(parts)}{tail}"


def _reads(text: pd.Series, formats: tuple[str, ...]) -> bool:
    stamps, _ = to_utc(text, pd.Series("", index=text.index), Clock(formats, None, "h"))
    return bool(stamps.notna().mean() >= _MOST)


def _is_clock(column: pd.Series) -> bool:
    text = as_text(column.head(200)).dropna()
    return bool(len(text) and text.str.fullmatch(_clock(1)).all())


def _split(frame: pd.DataFrame) -> tuple[str, ...]:
    """The columns of year, month, day, hour, as far as there are at least two of them."""
    lower = {str(name).strip().lower(): str(name) for name in frame}
    found = []
    for words in _PARTS:
        name = next((lower[word] for word in words if word in lower), None)
        if name is None or not as_text(frame[name]).dropna().str.fullmatch(r"\d{1,4}").all():
            break
        found.append(name)
    return tuple(found) if len(found) > 1 else ()


def _regular(stamps: pd.Series) -> float:
    """How regular the steps are: the share of the commonest one; 2 where a frequency fits."""
    known = stamps.dropna().drop_duplicates().sort_values()
    if len(known) < 3:
        return 0.0
    return 2.0 if fitting(known) else float(known.diff().dropna().value_counts(normalize=True).iloc[0])


def _counted(frame: pd.DataFrame, findings: Found, *, text: bool) -> Stamps:
    """Rows that are counted: by a column of whole numbers, else from a start that a person may correct."""
    for name in frame:
        number = pd.to_numeric(frame[name], errors="coerce")
        if (
            _COUNTERS.fullmatch(str(name).strip())
            and number.is_monotonic_increasing
            and (number.diff().dropna() == 1).all()
        ):
            findings.guess("source.columns.ds", str(name), "it counts the rows")
            findings.add("source.date_format", "step", "steps without dates")
            origin = pd.date_range("2000-01-01", periods=len(frame), freq="D", unit="us")
            return Stamps((str(name),), pd.Series(origin, index=frame.index), own_zone=False)
    if not text:
        raise SourceError("no column holds stamps; name the columns in a job: see docs/data.md")
    start = findings.guess("source.start", "2000-01-01", "no column holds stamps: rows are counted from this day")
    findings.add("source.columns.ds", "ds", "the stamp that source.start counts")
    stamps = pd.date_range(start, periods=len(frame), freq="D", unit="us")
    return Stamps((), pd.Series(stamps, index=frame.index), own_zone=False)
