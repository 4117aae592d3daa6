"""Known-ahead values that are missing in the horizon, filled as the job says from the context that the model reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd

from forecasting.bundle.cautions import Caution, of_series
from forecasting.bundle.spec import Spec
from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.series.calendar import season_length
from forecasting.series.frequency import offset_of

__all__ = ["fill_ahead"]

_WORDS: Final = {
    "last": "as the last known value",
    "seasonal": "as the value of one season before",
    "climatology": "as what is usual at that place of the season",
}


def fill_ahead(grid: pd.DataFrame, spec: Spec, steps: int) -> tuple[pd.DataFrame, list[Caution]]:
    """A regular grid with every known-ahead value of the next `steps` steps, and which ones were filled.

    They are filled from the values of the context and of earlier steps ahead, so more history changes nothing. A column
    without any value there stays empty.
    """
    if spec.missing_ahead == "refuse" or not spec.features.future or grid.empty:
        return grid, []
    grid = _reaching(grid, spec, steps)
    rows, names = _rows(grid, spec.context, steps)
    season, lacking = spec.table.season or season_length(spec.features.freq), {}
    for name in spec.features.future:
        codes, labels = _codes(grid[name], label=name in spec.table.categorical)
        before = np.where(rows >= 0, codes[rows], np.nan)
        after = _FILLS[spec.missing_ahead](before, spec.context, season, labels is not None)
        lacking[name] = (np.isnan(before) & ~np.isnan(after))[:, spec.context :]
        codes[rows[:, spec.context :]] = after[:, spec.context :]
        grid = grid.assign(**{name: codes if labels is None else _labelled(codes, labels)})
    return grid, _told(lacking, names, spec)


def _reaching(grid: pd.DataFrame, spec: Spec, steps: int) -> pd.DataFrame:
    """The grid with rows for so many steps after the last reading of each series."""
    readings = grid[grid[Y].notna()].groupby(UNIQUE_ID, sort=False)[DS].max()
    offset = offset_of(spec.features.freq)
    ahead = {end: pd.date_range(end, periods=steps + 1, freq=offset, unit="us")[1:] for end in readings.unique()}
    wanted = pd.DataFrame(
        {
            UNIQUE_ID: pd.array(np.repeat(readings.index.to_numpy(), steps), dtype="str"),
            DS: np.concatenate([np.empty(0, "datetime64[us]"), *(ahead[end] for end in readings)]),
        }
    )
    whole = grid.merge(wanted, on=[UNIQUE_ID, DS], how="outer", sort=True)
    static = [*spec.table.static]
    if static:
        whole[static] = whole.groupby(UNIQUE_ID, sort=False)[static].ffill()
    return whole[grid.columns]


def _rows(grid: pd.DataFrame, context: int, steps: int) -> tuple[np.ndarray, list[str]]:
    """The rows (N, T + H) of the context and the horizon of each series with a reading, -1 before its first one."""
    code, names = pd.factorize(grid[UNIQUE_ID])
    place = np.arange(len(grid))
    first = np.flatnonzero(np.diff(code, prepend=-1))
    last = np.maximum.reduceat(np.where(grid[Y].notna(), place, -1), first)
    read = last >= 0
    rows = last[read, None] + np.arange(1 - context, steps + 1)
    return np.where(rows >= first[read, None], rows, -1), [str(name) for name in names[read]]


def _codes(column: pd.Series, *, label: bool) -> tuple[np.ndarray, pd.Index | None]:
    """Numbers, or labels as their codes, NaN where a value is missing."""
    if not label:
        return column.to_numpy(np.float64, na_value=np.nan, copy=True), None
    codes, labels = pd.factorize(column, sort=True)  # of two labels as frequent, the first by name
    return np.where(codes < 0, np.nan, codes), pd.Index(labels)


def _labelled(codes: np.ndarray, labels: pd.Index) -> pd.Series:
    known = ~np.isnan(codes)
    found = np.full(len(codes), None, dtype=object)
    found[known] = labels.to_numpy(dtype=object)[codes[known].astype(int)]
    return pd.Series(found, dtype="str")


def _last(values: np.ndarray, context: int, season: int, label: bool) -> np.ndarray:  # noqa: ARG001
    """Each missing value as the one before it, (N, T + H)."""
    filled: np.ndarray = pd.DataFrame(values.T).ffill().to_numpy().T
    return filled


def _seasonal(values: np.ndarray, context: int, season: int, label: bool) -> np.ndarray:
    """Each missing value ahead as the latest known one at its place of the season, else as the last one."""
    filled = values.copy()
    for step in range(season, values.shape[1]):
        missing = np.isnan(filled[:, step])
        filled[missing, step] = filled[missing, step - season]
    ahead = np.where(np.isnan(values[:, context:]), filled[:, context:], values[:, context:])
    return _last(np.concatenate([values[:, :context], ahead], axis=1), context, season, label)


def _climatology(values: np.ndarray, context: int, season: int, label: bool) -> np.ndarray:
    """Each missing value ahead as the mean, or the usual label, of its place of the season in the context."""
    filled = values.copy()
    for step in range(context, values.shape[1]):
        missing = np.isnan(values[:, step])
        filled[missing, step] = _usual(values[missing, step % season : context : season], label=label)
    return _last(filled, context, season, label)


def _usual(values: np.ndarray, *, label: bool) -> np.ndarray:
    """The mean of each row, or its most frequent label; NaN where none is known."""
    table = pd.DataFrame(values)
    if not label or table.isna().all(axis=None):
        mean: np.ndarray = table.mean(axis=1).to_numpy()
        return mean
    usual: np.ndarray = table.mode(axis=1)[0].to_numpy()
    return usual


_FILLS: Final[dict[str, Callable[[np.ndarray, int, int, bool], np.ndarray]]] = {
    "last": _last,
    "seasonal": _seasonal,
    "climatology": _climatology,
}


def _told(lacking: dict[str, np.ndarray], names: list[str], spec: Spec) -> list[Caution]:
    """One warning for all series that lack the same columns at the same steps."""
    found: dict[str, list[str]] = {}
    for place, name in enumerate(names):
        steps = {column: np.flatnonzero(of[place]) + 1 for column, of in lacking.items()}
        lacks = [f"{column} at {_steps(of)}" for column, of in steps.items() if len(of)]
        if lacks:
            found.setdefault(", ".join(lacks), []).append(name)
    how = _WORDS[spec.missing_ahead]
    return [of_series("filled_ahead", f"lack {what}, which counts {how}", all_of) for what, all_of in found.items()]


def _steps(steps: np.ndarray) -> str:
    """Steps ahead in words, neighbors together: 1-3, 7."""
    runs = np.split(steps, np.flatnonzero(np.diff(steps) > 1) + 1)
    words = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    return f"step{'s' * (len(steps) > 1)} {', '.join(words)} ahead"
