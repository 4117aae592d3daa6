"""What the page of a forecast says, as plain values; and what all pages are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from forecasting.columns import BASE, CUTOFF, DS, STEP, UNIQUE_ID, VERSION, Y, median_column
from forecasting.runtime.templates import number, stamp
from forecasting.series.frequency import is_calendar
from forecasting.serve.pages.charts import forecast_chart, intervals, quantile_names
from forecasting.serve.pages.stored import Stored

__all__ = [
    "Choice",
    "Fact",
    "ForecastView",
    "Notice",
    "choices",
    "chosen",
    "example_stamps",
    "forecast",
    "side_by_side",
    "table_of",
]

_SHOWN: Final = 200  # vintages to choose from


class Notice(NamedTuple):
    """Why there is nothing to see, what to do about it, and the command that does it."""

    title: str
    text: str
    command: str = ""
    details: tuple[str, ...] = ()


class Choice(NamedTuple):
    """An entry of a list to choose from."""

    value: str
    label: str


class Fact(NamedTuple):
    """A figure: what it is called, and what it refers to."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class ForecastView:
    """One forecast of one series beside its readings: as a chart, a sentence, figures and a table."""

    chart: dict[str, Any]
    summary: str
    facts: list[Fact]
    columns: list[str]
    rows: list[list[str]]


def example_stamps(freq: str) -> list[str]:
    """Two neighboring stamps of a frequency, as a file holds them."""
    stamps = pd.date_range("2026-01-05 13:00", periods=2, freq=freq, normalize=is_calendar(freq))
    return stamps.strftime("%Y-%m-%d" if is_calendar(freq) else "%Y-%m-%d %H:%M:%S").tolist()


def choices(forecasts: pd.DataFrame) -> list[Choice]:
    """Every stored vintage of a series, newest first."""
    if forecasts.empty:
        return []
    made = forecasts[[CUTOFF, VERSION]].drop_duplicates().iloc[::-1].head(_SHOWN)
    return [
        Choice(f"{cutoff.isoformat()}@{version}", f"{stamp(cutoff)} · version {version}")
        for cutoff, version in made.itertuples(index=False)
    ]


def chosen(forecasts: pd.DataFrame, vintage: Choice) -> pd.DataFrame:
    """The rows of one stored vintage."""
    cutoff, _, version = vintage.value.partition("@")
    rows = (forecasts[CUTOFF] == pd.Timestamp(cutoff)) & (forecasts[VERSION].astype(str) == version)
    return forecasts[rows].reset_index(drop=True)


def forecast(
    kept: Stored, made: pd.DataFrame, others: Mapping[str, pd.DataFrame], events: pd.DataFrame
) -> ForecastView:
    """A forecast of a series (none: its readings alone); later readings and alternatives stand beside it.

    Readings of unusual events are marked.
    """
    known = np.flatnonzero(kept.readings[Y].notna())
    readings = kept.readings.iloc[: known[-1] + 1 if len(known) else 0]
    facts = _last(readings)
    chart = forecast_chart(readings, made, events=events, name=BASE if others else "", others=others)
    if made.empty:
        return ForecastView(chart, f"The last readings of {kept.name}.", facts, [], [])
    beside = made.merge(readings[[DS, Y]], on=DS, how="left")
    columns, rows = table_of(beside)
    if others:
        more, cells = side_by_side(others)
        found = {(step, at): numbers for _, step, at, *numbers in cells}
        columns = [*columns, *more[3:]]
        rows = [[*row, *found.get((row[0], row[1]), [""] * len(more[3:]))] for row in rows]
    facts = [*facts, *_reached(made), *_fared(beside.dropna(subset=[Y]))]
    return ForecastView(chart, _sentence(kept.name, made), facts, columns, rows)


def table_of(beside: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """The numbers of a forecast as titles and rows of text; with `y`, what came stands in the last column."""
    names = quantile_names(beside)
    bounds, came = intervals(names), Y in beside and bool(beside[Y].notna().any())
    columns = ["Step", "Time (UTC)", "Forecast", *(label for *_, label in bounds), *(["What came"] if came else [])]
    rows = [
        [
            str(row[STEP]),
            stamp(row[DS]),
            number(row[median_column(names)]),
            *(_between(row, low, high) for low, high, _ in bounds),
            *([number(row[Y])] if came else []),
        ]
        for row in beside.to_dict("records")
    ]
    return columns, rows


def side_by_side(tables: Mapping[str, pd.DataFrame]) -> tuple[list[str], list[list[str]]]:
    """The numbers of alternatives beside each other: a row per series and step, median and interval of each name."""
    columns, cells = ["Series", "Step", "Time (UTC)"], dict[tuple[str, int], list[str]]()
    for place, (name, table) in enumerate(tables.items()):
        names = quantile_names(table)
        bounds = intervals(names)[:1]
        columns += [name, *(f"{name}, {label}" for *_, label in bounds)]
        for row in table.to_dict("records"):
            key = (row[UNIQUE_ID], row[STEP])
            known = cells.setdefault(key, [str(row[UNIQUE_ID]), str(row[STEP]), stamp(row[DS])])
            known += [""] * (3 + place * (1 + len(bounds)) - len(known))
            known += [number(row[median_column(names)]), *(_between(row, low, high) for low, high, _ in bounds)]
    return columns, [[*row, *([""] * (len(columns) - len(row)))] for row in cells.values()]


def _last(readings: pd.DataFrame) -> list[Fact]:
    known = readings.dropna(subset=[Y])
    if known.empty:
        return []
    return [Fact("Last reading", number(known[Y].iloc[-1]), stamp(known[DS].iloc[-1]))]


def _reached(made: pd.DataFrame) -> list[Fact]:
    names, end = quantile_names(made), made.iloc[-1].to_dict()
    at = stamp(end[DS])
    widest = [Fact(label, _between(end, low, high), at) for low, high, label in intervals(names)[:1]]
    return [Fact("Forecast", number(end[median_column(names)]), at), *widest]


def _fared(came: pd.DataFrame) -> list[Fact]:
    """How the forecast did on the readings that came since."""
    if came.empty:
        return []
    names = quantile_names(came)
    error = float((came[median_column(names)] - came[Y]).abs().mean())
    facts = [Fact("Mean error so far", number(error), f"{len(came)} readings have come")]
    for low, high, label in intervals(names)[:1]:
        inside = int(((came[low] <= came[Y]) & (came[Y] <= came[high])).sum())
        facts.append(Fact("Held by the interval", f"{inside} of {len(came)}", label))
    return facts


def _sentence(name: str, made: pd.DataFrame) -> str:
    names, end = quantile_names(made), made.iloc[-1].to_dict()
    between = "".join(f", {label} {_between(end, low, high)}" for low, high, label in intervals(names)[:1])
    return (
        f"From {stamp(end[CUTOFF])} UTC on, {name} is forecast to reach {number(end[median_column(names)])}"
        f" at {stamp(end[DS])} UTC{between}."
    )


def _between(row: dict[Any, Any], low: str, high: str) -> str:
    return f"{number(row[low])} to {number(row[high])}"
