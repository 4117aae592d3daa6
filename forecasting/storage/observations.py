"""Readings of every job: merged by series and stamp, read as of any version."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.errors import DataError
from forecasting.runtime.workspace import Workspace
from forecasting.storage import delta, reading
from forecasting.storage.appending import add, write_part
from forecasting.storage.compaction import brought, compact
from forecasting.storage.opening import opened
from forecasting.storage.reading import RowFilter, TableVersion

__all__ = ["Merged", "ObservationTables"]

_KEYS: Final = (UNIQUE_ID, DS)
_RECENT: Final = 100  # commits, at least one of which brought rows


@dataclass(frozen=True)
class Merged:
    """The result of an ingestion: the version of the table after it, and how many rows are new or corrected."""

    version: int
    inserted: int
    updated: int
    notes: tuple[str, ...] = ()  # what a person should know of it


@dataclass(frozen=True)
class ObservationTables:
    """The tables of readings of a home, one per job; a write is one commit."""

    workspace: Workspace

    def version(self, job: str) -> int | None:
        """The version of the observations of `job`, None where there are none yet."""
        path = self._path(job)
        return opened(path).version() if DeltaTable.is_deltatable(path) else None

    def latest(self, job: str) -> TableVersion:
        """The latest observations of `job`; raises DataError if there are none."""
        path = self._path(job)
        if not DeltaTable.is_deltatable(path):
            raise DataError(f"no observations of {job} are stored; read them with: gatecast ingest CONFIG")
        return TableVersion(path, opened(path).version())

    def merge(self, job: str, table: pd.DataFrame) -> Merged:
        """Insert new rows and replace corrected ones by (unique_id, ds); writes nothing if nothing changes.

        Rows and columns that `table` lacks are kept; new covariates become new columns.
        """
        delta.refuse_repeated(table, _KEYS)
        return delta.retried(lambda: _merge(self._path(job), table))

    def changed(self, job: str, table: pd.DataFrame, column: str) -> list[str]:
        """The stored series whose last value of `column` is another one in `table`, in order."""
        path = self._path(job)
        if not DeltaTable.is_deltatable(path):
            return []
        if column not in {field.name for field in DeltaTable(path).schema().fields}:
            return []
        before = self.read(job, columns=[column]).groupby(UNIQUE_ID)[column].last().dropna()
        after = table.groupby(UNIQUE_ID)[column].last().dropna()
        both = before.index.intersection(after.index)
        return sorted(both[(before[both] != after[both]).to_numpy(dtype=bool)])

    def read(
        self,
        job: str,
        version: int | None = None,
        *,
        unique_id: str | None = None,
        since: pd.Timestamp | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """The long table of `job`, in order of (unique_id, ds), as of `version` (none: the latest).

        Optionally of one series, without stamps before `since`, or with only some `columns` beside the keys. Raises
        DataError if there is none.
        """
        path = self.latest(job).path
        try:
            stored = opened(path) if version is None else DeltaTable(path, version=version)
        except DeltaError as error:
            latest = opened(path).version()
            raise DataError(f"the observations of {job} have no version {version}; the latest is {latest}") from error
        conditions = [] if unique_id is None else [delta.is_text(UNIQUE_ID, unique_id)]
        if since is not None:
            conditions.append(pc.field(DS) >= since)
        return delta.select(stored, _KEYS, None if columns is None else [*_KEYS, *columns], conditions)

    def series(self, job: str) -> list[str]:
        """The names of all stored series of `job`, in order; raises DataError if there are none."""
        return reading.names(self.latest(job))

    def firsts(self, job: str) -> dict[str, np.datetime64]:
        """The first stamp of every stored series of `job`; nothing where nothing is stored."""
        if self.version(job) is None:
            return {}
        table = reading.scan(self.latest(job), [], RowFilter()).to_pandas().drop_duplicates(UNIQUE_ID)
        return dict(zip(table[UNIQUE_ID], table[DS].to_numpy(), strict=True))

    def lasts(self, job: str) -> dict[str, np.datetime64]:
        """The stamp of the last reading of every stored series of `job`; nothing where nothing is stored."""
        if self.version(job) is None:
            return {}
        table = reading.scan(self.latest(job), [Y], RowFilter()).to_pandas()
        last = table[table[Y].notna()].groupby(UNIQUE_ID, observed=True)[DS].max()
        return dict(zip(last.index.astype(str), last.to_numpy(), strict=True))

    def compact(self, job: str) -> int:
        """Rewrite small or unordered files in one commit; returns their number."""
        return compact(self.latest(job).path)

    def last_write(self, job: str) -> datetime:
        """When the last observations of `job` came; raises DataError if there are none."""
        log = opened(self.latest(job).path).history(_RECENT)
        written = [commit["timestamp"] for commit in log if brought(commit)]
        return datetime.fromtimestamp(max(written, default=log[-1]["timestamp"]) / 1000, UTC)

    def _path(self, job: str) -> str:
        return str(self.workspace.observations(job))


def _merge(path: str, table: pd.DataFrame) -> Merged:
    if not DeltaTable.is_deltatable(path):
        delta.create(path, table)
        return Merged(0, len(table), 0)
    stored = opened(path)
    inserted, changed = _difference(stored, table)
    if not (inserted | changed).any():
        return Merged(stored.version(), 0, 0)
    if not changed.any() and {*table.columns} <= {field.name for field in stored.schema().fields}:
        _insert(path, table[inserted], stored)
        return Merged(stored.version() + 1, int(inserted.sum()), 0)
    predicate = f"{delta.matching(_KEYS)} AND {_between(table[inserted | changed])}"
    merge = stored.merge(
        delta.to_arrow(table[inserted | changed]), predicate, source_alias="new", target_alias="old", merge_schema=True
    )
    merge.when_matched_update_all().when_not_matched_insert_all().execute()
    return Merged(stored.version(), int(inserted.sum()), int(changed.sum()))


def _difference(stored: DeltaTable, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the rows of `table` that are new, and that are stored with another value."""
    stamps = [(DS, ">=", table[DS].min().to_pydatetime()), (DS, "<=", table[DS].max().to_pydatetime())]
    names = set(delta.refuse_other_types(stored, delta.to_arrow(table[:0]).schema))
    known = [name for name in table.columns if name in names]
    before = stored.to_pyarrow_table(columns=known, filters=stamps).to_pandas()
    keys = list(_KEYS)
    row = pd.MultiIndex.from_frame(before[keys]).get_indexer(pd.MultiIndex.from_frame(table[keys]))
    inserted = row < 0
    changed = np.zeros(len(table), dtype=bool)
    for name in table.columns.drop(keys):
        if name not in names:
            changed |= table[name].notna().to_numpy()
            continue
        old = before[name].array.take(row[~inserted])
        new = table[name].array[~inserted]
        differs = ~((old == new) | (pd.isna(old) & pd.isna(new)))
        changed[~inserted] |= np.asarray(differs, dtype=bool)
    return inserted, changed & ~inserted


def _insert(path: str, table: pd.DataFrame, stored: DeltaTable) -> None:
    """Write new rows as a file of their own, in order: other files stay as they are, and ranges can be read."""
    known = pa.schema(stored.schema().to_arrow())
    ordered = delta.to_arrow(table.sort_values(list(_KEYS), kind="stable"))
    with tempfile.TemporaryDirectory(prefix=".", dir=Path(path).parent) as drafts:
        part = Path(drafts, "part.parquet")
        write_part(part, ordered.cast(pa.schema([known.field(name) for name in ordered.column_names])))
        add(path, [part], seen=stored.version())


def _between(table: pd.DataFrame) -> str:
    """Let the merge skip files whose stamps lie elsewhere."""
    first, last = table[DS].min().isoformat(), table[DS].max().isoformat()
    return f"old.{DS} >= TIMESTAMP '{first}' AND old.{DS} <= TIMESTAMP '{last}'"
