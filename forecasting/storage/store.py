"""Delta Lake tables under home: observations and forecasts of every job, merged exactly once, read as of a version."""

from __future__ import annotations

import functools
import hashlib
import operator
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from forecasting.columns import CUTOFF, DS, STEP, UNIQUE_ID, VERSION
from forecasting.errors import DataError, no_space
from forecasting.storage import reading as scan
from forecasting.storage.appending import FORECAST, add, add_new, making, write_part
from forecasting.storage.compaction import brought, compact, vacuum
from forecasting.storage.reading import Source

__all__ = ["Merged", "Store", "fingerprint"]

Watched = Literal["scores", "verdicts"]

_OBSERVATION = (UNIQUE_ID, DS)
_WATCHED: dict[Watched, tuple[str, ...]] = {
    "scores": (CUTOFF, VERSION, STEP),
    "verdicts": (VERSION, "until", "verdict"),
}
_RECENT = 100  # commits among which one has brought rows
_ATTEMPTS = 8
_PAUSE = 0.05  # seconds, times the number of the attempt

Result = TypeVar("Result")


@dataclass(frozen=True)
class Merged:
    """What an ingestion did: the version of the table after it, and how many rows are new or corrected."""

    version: int
    inserted: int
    updated: int


class Store:
    """The tables of `<home>/tables/<job>`: observations, forecasts, what the monitor keeps; a write is one commit."""

    def __init__(self, home: Path) -> None:
        self._tables = home / "tables"

    def version(self, job: str) -> int | None:
        """The version of the observations of `job`, None where there are none yet."""
        path = self._path(job, "observations")
        return DeltaTable(path).version() if DeltaTable.is_deltatable(path) else None

    def merge_observations(self, job: str, table: pd.DataFrame) -> Merged:
        """Insert new rows and replace corrected ones by (unique_id, ds); where nothing changes, nothing is written.

        Rows and columns that `table` lacks are kept; new covariates become new columns.
        """
        _refuse_repeated(table, _OBSERVATION)
        return _retried(lambda: self._merge_observations(self._path(job, "observations"), table))

    def read_observations(
        self,
        job: str,
        version: int | None = None,
        *,
        unique_id: str | None = None,
        since: pd.Timestamp | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """The long table of `job`, in order of (unique_id, ds), as of `version` (none: the latest).

        Of one series, without stamps before `since`, or some `columns` beside the keys, where they are given. Raise
        DataError where there is none.
        """
        path = self.observations(job).path
        try:
            stored = DeltaTable(path, version=version)
        except DeltaError as error:
            latest = DeltaTable(path).version()
            raise DataError(f"the observations of {job} have no version {version}; the latest is {latest}") from error
        chosen = None if columns is None else [*_OBSERVATION, *columns]
        conditions = [] if unique_id is None else [_is_text(UNIQUE_ID, unique_id)]
        if since is not None:
            conditions.append(pc.field(DS) >= since)
        return _frame(_read(stored, chosen, conditions), _OBSERVATION)

    def append_forecasts(self, job: str, table: pd.DataFrame) -> int:
        """Store forecasts once per (unique_id, ds, cutoff, version); the number of rows that were new."""
        _refuse_repeated(table, FORECAST)
        folder = self._tables / job
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=folder) as drafts:
            part = Path(drafts, "part.parquet")
            write_part(part, _arrow(table))
            return self.commit_forecasts(job, [part])

    def commit_forecasts(self, job: str, parts: Sequence[Path]) -> int:
        """Store the forecasts in Parquet files like `append_forecasts`, all in one commit; how many rows were new.

        The files must not change afterwards: the table may share them.
        """
        return _retried(lambda: _append(self._path(job, "forecasts"), parts))

    def observations(self, job: str) -> Source:
        """The observations of `job` as they are now; raise DataError where there are none."""
        path = self._path(job, "observations")
        if not DeltaTable.is_deltatable(path):
            raise DataError(f"no observations of {job} are stored; read them with: gatecast ingest CONFIG")
        return Source(path, DeltaTable(path).version())

    def compact(self, job: str, keep_days: int = 30) -> int:
        """Lay the files of both tables out for reading, and delete what no version of the last days needs.

        Gives the number of files that were rewritten; rows stay as they are.
        """
        paths = [self._path(job, name) for name in ("observations", "forecasts")]
        there = [path for path in paths if DeltaTable.is_deltatable(path)]
        rewritten = sum(compact(path) for path in there)
        for path in there:
            vacuum(path, keep_days)
        return rewritten

    def parts(self, job: str) -> Path:
        """Where forecasts of `job` are kept until they are committed."""
        return self._tables / job / "parts"

    def series(self, job: str) -> list[str]:
        """The names of all stored series of `job`, in order; raise DataError where there is none."""
        return scan.names(self.observations(job))

    def read_forecasts(
        self,
        job: str,
        *,
        cutoff: pd.Timestamp | Sequence[pd.Timestamp] | None = None,
        since: pd.Timestamp | None = None,
        version: int | str | None = None,
        unique_id: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """The stored forecasts of `job`: of some cutoffs, a model version, a series, where they are given.

        `since` leaves out earlier cutoffs; `columns` are those read beside the keys. Raise DataError where there are
        none.
        """
        stored = self._forecasts(job)
        conditions: list[pc.Expression] = []
        if cutoff is not None:
            conditions.append(pc.field(CUTOFF).isin([cutoff] if isinstance(cutoff, pd.Timestamp) else list(cutoff)))
        if since is not None:
            conditions.append(pc.field(CUTOFF) >= since)
        if version is not None:
            conditions.append(pc.field(VERSION) == version)
        if unique_id is not None:
            conditions.append(_is_text(UNIQUE_ID, unique_id))
        return _frame(_read(stored, None if columns is None else [*FORECAST, *columns], conditions), FORECAST)

    def forecast_columns(self, job: str) -> list[str]:
        """The names of all columns of the stored forecasts of `job`; raise DataError where there are none."""
        return [field.name for field in self._forecasts(job).schema().fields]

    def last_cutoff(self, job: str) -> pd.Timestamp:
        """The newest cutoff of the stored forecasts of `job`, to the millisecond; raise DataError where there are none.

        It stands in the table's log: no forecast is read for it.
        """
        files = pa.table(self._forecasts(job).get_add_actions(flatten=True))
        return pd.Timestamp(pc.max(files[f"max.{CUTOFF}"]).as_py()).as_unit("us")

    def last_write(self, job: str) -> datetime:
        """When observations of `job` came last; raise DataError where there are none."""
        log = DeltaTable(self.observations(job).path).history(_RECENT)
        written = [commit["timestamp"] for commit in log if brought(commit)]
        return datetime.fromtimestamp(max(written, default=log[-1]["timestamp"]) / 1000, UTC)

    def keep(self, job: str, kind: Watched, table: pd.DataFrame) -> None:
        """Insert rows of what the monitor keeps, or replace those that have the same keys."""
        keys = _WATCHED[kind]
        _refuse_repeated(table, keys)
        if len(table):
            _retried(lambda: _replace(self._path(job, kind), table, keys))

    def kept(self, job: str, kind: Watched) -> pd.DataFrame:
        """What the monitor has kept of `job`, in order of its keys; no rows and no columns where there is nothing."""
        path = self._path(job, kind)
        if not DeltaTable.is_deltatable(path):
            return pd.DataFrame()
        return _frame(_read(DeltaTable(path), None, ()), _WATCHED[kind])

    def _forecasts(self, job: str) -> DeltaTable:
        path = self._path(job, "forecasts")
        if not DeltaTable.is_deltatable(path):
            raise DataError(f"no forecasts of {job} are stored; make them with: gatecast forecast CONFIG")
        return DeltaTable(path)

    def _path(self, job: str, name: str) -> str:
        return str(self._tables / job / name)

    def _merge_observations(self, path: str, table: pd.DataFrame) -> Merged:
        if not DeltaTable.is_deltatable(path):
            _create(path, table)
            return Merged(0, len(table), 0)
        stored = DeltaTable(path)
        inserted, changed = _difference(stored, table)
        if not (inserted | changed).any():
            return Merged(stored.version(), 0, 0)
        if not changed.any() and {*table.columns} <= {field.name for field in stored.schema().fields}:
            self._insert(path, table[inserted], stored)
            return Merged(stored.version() + 1, int(inserted.sum()), 0)
        predicate = f"{_match(_OBSERVATION)} AND {_between(table[inserted | changed], DS)}"
        merge = stored.merge(
            _arrow(table[inserted | changed]), predicate, source_alias="new", target_alias="old", merge_schema=True
        )
        merge.when_matched_update_all().when_not_matched_insert_all().execute()
        return Merged(stored.version(), int(inserted.sum()), int(changed.sum()))

    def _insert(self, path: str, table: pd.DataFrame, stored: DeltaTable) -> None:
        """New rows as a file of their own, in order: other files stay as they are, and can be read by ranges."""
        known = pa.schema(stored.schema().to_arrow())
        ordered = _arrow(table.sort_values(list(_OBSERVATION), kind="stable"))
        with tempfile.TemporaryDirectory(prefix=".", dir=Path(path).parent) as drafts:
            part = Path(drafts, "part.parquet")
            write_part(part, ordered.cast(pa.schema([known.field(name) for name in ordered.column_names])))
            add(path, [part], seen=stored.version())


def _read(stored: DeltaTable, columns: list[str] | None, conditions: Sequence[pc.Expression]) -> pa.Table:
    """The rows of a table that meet all conditions."""
    condition = functools.reduce(operator.and_, conditions) if conditions else None
    return stored.to_pyarrow_dataset().to_table(columns=columns, filter=condition)


def _is_text(name: str, value: str) -> pc.Expression:
    """Arrow cannot compare the kind of text column that a merge leaves behind."""
    return pc.field(name).cast(pa.string()) == value


def fingerprint(table: pd.DataFrame) -> str:
    """SHA-256 of the content of a table, whatever the order of its rows and columns."""
    names = sorted(table.columns)
    keys = [name for name in FORECAST if name in names]
    if table.duplicated(keys).any():
        keys = [*keys, *(name for name in names if name not in keys)]
    ordered = table.sort_values(keys, ignore_index=True)
    digest = hashlib.sha256()
    for name in names:
        digest.update(f"\x00{name}\x00".encode())
        digest.update(_bytes(ordered[name]))
    return digest.hexdigest()


def _bytes(column: pd.Series) -> bytes:
    if pd.api.types.is_datetime64_any_dtype(column):
        return column.to_numpy().astype("datetime64[us]").tobytes()
    if pd.api.types.is_numeric_dtype(column):
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan) + 0.0  # -0.0 is 0.0
        return np.where(np.isnan(numbers), np.nan, numbers).tobytes()  # one bit pattern for every NaN
    code, labels = pd.factorize(column)
    return code.astype(np.int64).tobytes() + b"\x00".join(str(label).encode() for label in labels)


def _difference(stored: DeltaTable, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the rows of `table` that are not stored, and that are stored with another value."""
    span = [(DS, ">=", table[DS].min().to_pydatetime()), (DS, "<=", table[DS].max().to_pydatetime())]
    names = set(_refuse_other_types(stored, _arrow(table[:0]).schema))
    known = [name for name in table.columns if name in names]
    before = stored.to_pyarrow_table(columns=known, filters=span).to_pandas()
    keys = list(_OBSERVATION)
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


def _append(path: str, parts: Sequence[Path]) -> int:
    if parts and DeltaTable.is_deltatable(path):
        _refuse_other_types(DeltaTable(path), pq.read_schema(parts[0]))
    return add_new(path, parts)


def _replace(path: str, table: pd.DataFrame, keys: Sequence[str]) -> None:
    if not DeltaTable.is_deltatable(path):
        _create(path, table)
        return
    stored = DeltaTable(path)
    content = _arrow(table)
    _refuse_other_types(stored, content.schema)
    merge = stored.merge(content, _match(keys), source_alias="new", target_alias="old", merge_schema=True)
    merge.when_matched_update_all().when_not_matched_insert_all().execute()


def _refuse_other_types(stored: DeltaTable, after: pa.Schema) -> list[str]:
    """The stored columns; raise DataError that lists those to which the new rows have values of another type."""
    before = stored.to_pyarrow_dataset().schema
    names: list[str] = before.names
    other = [
        f"column {name} holds {before.field(name).type}, the new rows {after.field(name).type}"
        for name in after.names
        if name in names and _kind(before.field(name).type) != _kind(after.field(name).type)
    ]
    if other:
        raise DataError("the rows do not fit the stored table; call the column by another name:", other)
    return names


def _kind(type_: pa.DataType) -> str:
    if pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return "text"
    return "stamp" if pa.types.is_timestamp(type_) else "number"


def _create(path: str, table: pd.DataFrame) -> None:
    with making(path):
        write_deltalake(path, _arrow(table), mode="error")


def _retried(write: Callable[[], Result]) -> Result:
    """The result of `write`, which is tried again where another writer was faster."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return write()
        except CommitFailedError as error:
            if attempt == _ATTEMPTS:
                raise DataError(f"the table was changed by others {attempt} times; try again: {error}") from error
            time.sleep(_PAUSE * attempt)
        except DeltaError as error:
            raise no_space(error) or DataError(f"the rows do not fit the stored table: {error}") from error
    raise AssertionError("unreachable")


def _match(keys: Sequence[str]) -> str:
    return " AND ".join(f"old.{key} = new.{key}" for key in keys)


def _between(table: pd.DataFrame, column: str) -> str:
    """Lets the merge skip files whose stamps lie elsewhere."""
    first, last = table[column].min().isoformat(), table[column].max().isoformat()
    return f"old.{column} >= TIMESTAMP '{first}' AND old.{column} <= TIMESTAMP '{last}'"


def _arrow(table: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)


def _frame(stored: pa.Table, keys: Sequence[str]) -> pd.DataFrame:
    table: pd.DataFrame = stored.to_pandas()
    return table.sort_values(list(keys), kind="stable", ignore_index=True)


def _refuse_repeated(table: pd.DataFrame, keys: Sequence[str]) -> None:
    repeated = table.duplicated(list(keys))
    if repeated.any():
        raise DataError(
            f"{repeated.sum()} row(s) repeat a key ({', '.join(keys)}) and cannot be stored; clean them first"
        )
