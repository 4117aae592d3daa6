"""A long table in order of its keys, and where its readings begin and end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.series import Series
from forecasting.errors import ConfigError
from forecasting.series.frequency import OFF_GRID

__all__ = ["Ordered", "after_end", "before_start", "known_ahead", "only_ahead", "outside", "usual_phase"]


@dataclass(frozen=True)
class Ordered:
    """The rows that have an identifier and a stamp, in order of (unique_id, ds), and where each of them stood.

    `code` numbers the series of each row, `row` is its place in the table, `fresh` marks the first row of each key.
    """

    table: pd.DataFrame
    series: Series
    names: pd.Index
    code: np.ndarray
    row: np.ndarray
    fresh: np.ndarray

    @classmethod
    def of(cls, table: pd.DataFrame, series: Series) -> Ordered:
        """Put `table` in order, without the rows that `series.start` and `series.end` leave out."""
        keyed = table.reset_index(drop=True).dropna(subset=[UNIQUE_ID, DS])
        keyed = keyed[~before_start(keyed[DS], series) & ~after_end(keyed[DS], series)]
        code, names = pd.factorize(keyed[UNIQUE_ID], sort=True)
        stamps = keyed[DS].to_numpy()
        order = np.lexsort((stamps, code))
        same = (np.diff(code[order]) == 0) & (np.diff(stamps[order]) == np.timedelta64(0))
        fresh = np.concatenate([np.ones(min(1, len(order)), dtype=bool), ~same])
        return cls(keyed.iloc[order], series, pd.Index(names), code[order], keyed.index.to_numpy()[order], fresh)

    @property
    def y(self) -> np.ndarray:
        """The target, (rows,)."""
        return self.table[Y].to_numpy()

    @property
    def missing(self) -> np.ndarray:
        """The rows without a reading within the bounds, (rows,)."""
        lower, upper = self.series.lower, self.series.upper
        missing: np.ndarray = self.table[Y].isna().to_numpy(copy=True)
        if lower is not None:
            missing |= self.y < lower
        if upper is not None:
            missing |= self.y > upper
        return missing

    @property
    def readings(self) -> np.ndarray:
        """Number of readings of each series, (N,)."""
        return np.bincount(self.code[~self.missing], minlength=len(self.names))


def before_start(ds: pd.Series, series: Series) -> pd.Series:
    """The stamps before `series.start`; raise ConfigError where that is no date."""
    return ds < _span(series.start, "start").start_time if series.start else pd.Series(False, index=ds.index)


def after_end(ds: pd.Series, series: Series) -> pd.Series:
    """The stamps after `series.end`, which stands for the whole day, month or year that it names."""
    return ds > _span(series.end, "end").end_time if series.end else pd.Series(False, index=ds.index)


def usual_phase(code: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """The most frequent phase of each row's series, (rows,); `code` is sorted."""
    if len(phase) == 0 or (phase == phase[0]).all():
        return phase
    pairs = pd.DataFrame({"code": code, "phase": phase}).value_counts(sort=True).reset_index()
    most = pairs[pairs["phase"] != OFF_GRID].drop_duplicates("code").set_index("code")["phase"]
    return most.reindex(code, fill_value=OFF_GRID).to_numpy()


def outside(code: np.ndarray, missing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the rows before the first and after the last reading of their series; `code` is sorted.

    A series without any reading is all before its first one.
    """
    place, seen = np.arange(len(code)), np.flatnonzero(~missing)
    series = int(code.max()) + 1 if len(code) else 0
    first, last = np.full(series, len(code)), np.full(series, len(code))
    first[code[seen][::-1]] = seen[::-1]
    last[code[seen]] = seen
    return place < first[code], place > last[code]


def known_ahead(table: pd.DataFrame, series: Series) -> np.ndarray:
    """The rows that carry a value of a known-ahead covariate, (rows,)."""
    return table[list(series.future)].notna().any(axis=1).to_numpy() if series.future else np.zeros(len(table), bool)


def only_ahead(code: np.ndarray, missing: np.ndarray, table: pd.DataFrame, series: Series) -> np.ndarray:
    """The series (N,) without a reading that bring values known ahead, where `min_length` 0 says that these may."""
    count = int(code.max()) + 1 if len(code) else 0
    ahead = np.bincount(code[known_ahead(table, series)], minlength=count) > 0
    found: np.ndarray = ahead & (np.bincount(code[~missing], minlength=count) == 0) & (series.min_length == 0)
    return found


def _span(date: str, key: str) -> pd.Period:
    try:
        return pd.Period(date)
    except ValueError as error:
        raise ConfigError(f"series.{key} {date!r} is no date such as 2024-03-31") from error
