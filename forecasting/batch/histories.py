"""The readings behind a shard's forecasts: whole, regular histories apart from all others."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from forecasting.batch.plan import Plan, Shard
from forecasting.bundle.fast_path import Readings, step_of
from forecasting.bundle.spec import Spec
from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.series.frequency import fixed_step, offset_of
from forecasting.storage.reading import RowFilter, scan

__all__ = ["Histories", "read", "series_read_on"]


class Histories(NamedTuple):
    """The last contexts of whole series, and the long table of all others; both in order of their names."""

    whole: Readings
    others: pd.DataFrame


def read(plan: Plan, shard: Shard, spec: Spec) -> Histories:
    """Read the rows of a shard's series that were known at the cutoff, as far back as their forecasts depend on it.

    Rows before `plan.since` are read only for series with gaps and for series that ended long ago.
    """
    at = None if plan.at is None else pd.Timestamp(plan.at)
    since = None if plan.since is None else pd.Timestamp(plan.since)
    wanted = RowFilter(shard.first, shard.last, since, None if spec.series.future else at)
    recent = _Rows.of(_known_at(scan(plan.observations, _columns(spec), wanted), at, spec))
    whole = recent.whole(spec)
    settled = recent.settled(spec)
    if spec.layout is not None and not settled.all():
        settled[:] = False  # series read together go back equally far
    others = recent.table.filter(pa.array(np.repeat(settled & ~whole, recent.counts)))
    if since is not None and shard.size > np.count_nonzero(whole | settled):
        known = tuple(recent.names[whole | settled])
        older = _known_at(scan(plan.observations, _columns(spec), wanted._replace(since=None, but=known)), at, spec)
        others = pa.concat_tables([others, older])
    return Histories(recent.contexts(whole, spec), _frame(others))


def series_read_on(plan: Plan, shard: Shard) -> frozenset[str]:
    """The series of a shard that have readings after the cutoff: a forecast of them is a hindcast."""
    if plan.at is None:
        return frozenset()
    at = pd.Timestamp(plan.at)
    later = _frame(scan(plan.observations, [Y], RowFilter(shard.first, shard.last, at)))
    return frozenset(later[UNIQUE_ID][(later[DS] > at) & later[Y].notna()])


class _Rows(NamedTuple):
    """Rows in order of (unique_id, ds) and their N series: name, first row, and length of each."""

    table: pa.Table
    names: np.ndarray
    first: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, table: pa.Table) -> _Rows:
        column = table[UNIQUE_ID].combine_chunks()
        codes = column.indices.to_numpy() if len(table) else np.empty(0, dtype=np.int32)
        names = column.dictionary.to_numpy(zero_copy_only=False) if len(table) else np.empty(0, dtype=object)
        counts = np.bincount(codes, minlength=len(names))
        return cls(table, names, np.cumsum(counts) - counts, counts)

    def whole(self, spec: Spec) -> np.ndarray:
        """Series whose last context has a reading at every step, for models that read nothing else (N,)."""
        found, step = np.zeros(len(self.names), dtype=bool), step_of(spec)
        if step is None or spec.layout:
            return found
        long = np.flatnonzero(self.counts >= spec.context)
        rows = self._last_rows(long, spec.context)
        regular = (np.diff(self._stamps[rows], axis=1) == step).all(axis=1)
        low, high = spec.series.bounds
        y = self._numbers(Y)[rows]
        found[long] = regular & (np.isfinite(y) & (y >= low) & (y <= high)).all(axis=1)
        return found

    def settled(self, spec: Spec) -> np.ndarray:
        """Series that need no older rows: every column is known at some row before their last context begins (N,)."""
        if not len(self.table):
            return np.zeros(0, dtype=bool)
        moving = [name for name in (Y, *spec.series.past, *spec.series.future) if name in self.table.column_names]
        known = np.logical_and.reduce([self._there(name) for name in moving])
        static = [self._there(name)[self.first] for name in spec.series.static if name in self.table.column_names]
        row = np.arange(len(self.table))
        earliest = np.minimum.reduceat(np.where(known, row, len(row)), self.first)
        last = np.maximum.reduceat(np.where(self._there(Y), row, -1), self.first)
        begin = _earlier(self._stamps[np.maximum(last, 0)], spec)
        begin = np.full_like(begin, begin.min()) if spec.layout is not None else begin
        there = (last >= 0) & (earliest < len(row))
        settled = there & (self._stamps[np.minimum(earliest, len(row) - 1)] <= begin)
        all_there: np.ndarray = np.logical_and.reduce([settled, *static])
        return all_there

    def contexts(self, chosen: np.ndarray, spec: Spec) -> Readings:
        """The last contexts of the chosen series."""
        rows = self._last_rows(np.flatnonzero(chosen), spec.context)
        y = self._numbers(Y) if len(rows) else np.empty(0)
        names: list[str] = np.repeat(self.names[chosen], spec.context).tolist()
        return Readings(names, self._stamps[rows.ravel()], y[rows.ravel()], {})

    def _last_rows(self, series: np.ndarray, length: int) -> np.ndarray:
        rows: np.ndarray = (self.first + self.counts)[series][:, None] - np.arange(length, 0, -1)
        return rows

    @property
    def _stamps(self) -> np.ndarray:
        stamps: np.ndarray = self.table[DS].to_numpy()
        return stamps

    def _numbers(self, name: str) -> np.ndarray:
        numbers: np.ndarray = self.table[name].to_numpy()
        return numbers

    def _there(self, name: str) -> np.ndarray:
        there: np.ndarray = self.table[name].is_valid().to_numpy()
        if self.table.schema.field(name).type == pa.float64():
            there = there & ~np.isnan(self._numbers(name))
        return there


def _columns(spec: Spec) -> list[str]:
    return [Y, *spec.series.past, *spec.series.future, *spec.series.static]


def _earlier(stamps: np.ndarray, spec: Spec) -> np.ndarray:
    """The first stamps of the contexts that end at these stamps."""
    step = fixed_step(spec.series.freq)
    if step is not None:
        begin: np.ndarray = stamps - (spec.context - 1) * step
        return begin
    ends, which = np.unique(stamps, return_inverse=True)
    back = (spec.context - 1) * offset_of(spec.series.freq)
    return np.array([(pd.Timestamp(end) - back).to_datetime64() for end in ends], dtype=stamps.dtype)[which]


def _known_at(table: pa.Table, at: pd.Timestamp | None, spec: Spec) -> pa.Table:
    """The table as known at `at`: later rows keep only the columns known ahead."""
    if at is None or not spec.series.future:
        return table
    later = pa.array(table[DS].to_numpy() > at.to_datetime64())
    for place, field in enumerate(table.schema):
        if field.name == Y or field.name in spec.series.past:
            hidden = pc.if_else(later, pa.scalar(None, field.type), table.column(place))
            table = table.set_column(place, field, hidden)
    return table


def _frame(table: pa.Table) -> pd.DataFrame:
    place = table.schema.get_field_index(UNIQUE_ID)
    found: pd.DataFrame = table.set_column(place, UNIQUE_ID, table[UNIQUE_ID].cast(pa.string())).to_pandas()
    return found.sort_values([UNIQUE_ID, DS], kind="stable", ignore_index=True)
