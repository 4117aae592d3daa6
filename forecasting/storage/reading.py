"""Some series and some stamps of a Delta table: files and row groups that cannot hold them are not read."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from forecasting.columns import DS, UNIQUE_ID
from forecasting.storage.opening import opened

__all__ = ["File", "RowFilter", "TableVersion", "files", "footer", "names", "reach", "read", "rows", "scan"]


class TableVersion(NamedTuple):
    """A table as of one version: its rows never change."""

    path: str
    version: int


class RowFilter(NamedTuple):
    """A selection of rows: series from `first` to `last` except some, stamps from `since` to `until`."""

    first: str | None = None  # none, here and below: no bound
    last: str | None = None
    since: pd.Timestamp | None = None
    until: pd.Timestamp | None = None
    but: tuple[str, ...] = ()


class File(NamedTuple):
    """One data file of a table, and the least and greatest value of its columns, if known."""

    path: Path
    rows: int
    least: dict[str, Any]
    greatest: dict[str, Any]


@functools.lru_cache(maxsize=32)
def files(stored: TableVersion) -> tuple[File, ...]:
    """The data files of a table, from its log."""
    actions = pa.table(opened(stored.path, version=stored.version).get_add_actions(flatten=True)).to_pylist()
    return tuple(
        File(
            Path(stored.path, action["path"]),
            action["num_records"],
            {name[4:]: value for name, value in action.items() if name[:4] == "min." and value is not None},
            {name[4:]: value for name, value in action.items() if name[:4] == "max." and value is not None},
        )
        for action in actions
    )


def reach(stored: TableVersion) -> tuple[pd.Timestamp, pd.Timestamp] | None:
    """The first and last stamp of a table; none if its log does not say."""
    found = files(stored)
    if not found or not all(DS in file.least and DS in file.greatest for file in found):
        return None
    # A log rounds stamps to the millisecond; the last one may be later.
    last = pd.Timestamp(max(file.greatest[DS] for file in found)) + pd.Timedelta(milliseconds=1)
    return pd.Timestamp(min(file.least[DS] for file in found)), last


def names(stored: TableVersion) -> list[str]:
    """The names of all series, in order; only their column is read."""
    found = [pa.array([], pa.string())]
    for file in files(stored):
        for group in range(footer(file.path).num_row_groups):
            column = _groups(file.path, [group], [UNIQUE_ID])[UNIQUE_ID]
            found += [chunk.dictionary.take(pc.unique(chunk.indices)) for chunk in column.chunks]
    unique = pa.chunked_array(found).unique()
    names: list[str] = unique.take(pc.array_sort_indices(unique)).to_pylist()
    return names


def scan(stored: TableVersion, columns: Sequence[str], wanted: RowFilter) -> pa.Table:
    """The wanted rows in order of (unique_id, ds); `unique_id` is dictionary-encoded, its labels in order.

    `columns` are read beside the keys; columns that the table lacks are left out.
    """
    chosen = [name for name in (UNIQUE_ID, DS, *columns) if name in _schema(stored).names]
    return rows(files(stored), stored, wanted, chosen)


def rows(
    found: Sequence[File], stored: TableVersion, wanted: RowFilter, columns: Sequence[str] | None = None
) -> pa.Table:
    """The wanted rows in some of a table's files, in order of (unique_id, ds); without `columns` all of them."""
    schema = _schema(stored)
    chosen = schema.names if columns is None else columns
    empty = pa.schema([schema.field(name) for name in chosen]).empty_table()
    meant = [file for file in found if _meets(file.least, file.greatest, wanted)]
    tables = [_within(part, wanted) for file in meant for part in _parts(file.path, chosen, wanted)]
    return _ordered(pa.concat_tables([empty, *tables], promote_options="permissive"))


def read(path: Path, columns: Sequence[str], wanted: RowFilter) -> pa.Table:
    """The row groups of a data file that may hold wanted rows; `unique_id` is dictionary-encoded."""
    return _groups(path, [n for n in range(footer(path).num_row_groups) if _touches(path, n, wanted)], columns)


def _parts(path: Path, columns: Sequence[str], wanted: RowFilter) -> Iterator[pa.Table]:
    """The same, one row group after the other: unwanted rows never stay in memory."""
    for number in range(footer(path).num_row_groups):
        if _touches(path, number, wanted):
            yield _groups(path, [number], columns)


@functools.lru_cache(maxsize=4096)
def footer(path: Path) -> pq.FileMetaData:
    """The metadata of a data file; a file of a Delta table never changes."""
    return pq.read_metadata(path)


@functools.lru_cache(maxsize=32)
def _schema(stored: TableVersion) -> pa.Schema:
    """The columns of a table, series names as labels."""
    schema = pa.schema(opened(stored.path, version=stored.version).schema().to_arrow())
    place = schema.get_field_index(UNIQUE_ID)
    return schema.set(place, pa.field(UNIQUE_ID, pa.dictionary(pa.int32(), pa.string())))


def _groups(path: Path, groups: list[int], columns: Sequence[str]) -> pa.Table:
    """Row groups of a file. A merge leaves another kind of text behind, which cannot be compared: labels can."""
    with pq.ParquetFile(path, metadata=footer(path), read_dictionary=[UNIQUE_ID]) as file:
        table = file.read_row_groups(groups, [name for name in columns if name in file.schema_arrow.names])
    return table.replace_schema_metadata(None)


def _touches(path: Path, number: int, wanted: RowFilter) -> bool:
    """Whether a row group may hold wanted rows."""
    group = footer(path).row_group(number)
    found = [group.column(place) for place in range(group.num_columns)]
    known = {column.path_in_schema: column.statistics for column in found if column.path_in_schema in (UNIQUE_ID, DS)}
    bounds = {name: value for name, value in known.items() if value is not None and value.has_min_max}
    return _meets({n: v.min for n, v in bounds.items()}, {n: v.max for n, v in bounds.items()}, wanted)


def _meets(least: dict[str, Any], greatest: dict[str, Any], wanted: RowFilter) -> bool:
    """Whether values between these bounds may belong to wanted rows; unknown bounds may."""
    after = (wanted.last is None or least.get(UNIQUE_ID, "") <= wanted.last) and (
        wanted.until is None or DS not in least or pd.Timestamp(least[DS]) <= wanted.until
    )
    before = (wanted.first is None or UNIQUE_ID not in greatest or greatest[UNIQUE_ID] >= wanted.first) and (
        wanted.since is None or DS not in greatest or pd.Timestamp(greatest[DS]) >= wanted.since - pd.Timedelta("1ms")
    )
    return after and before


def _within(table: pa.Table, wanted: RowFilter) -> pa.Table:
    keep = np.ones(len(table), dtype=bool)
    stamps = table[DS].to_numpy()
    if wanted.since is not None:
        keep &= stamps >= wanted.since.to_datetime64()
    if wanted.until is not None:
        keep &= stamps <= wanted.until.to_datetime64()
    codes, labels = _labels(table)
    meant = pc.invert(pc.is_in(labels, pa.array(wanted.but, pa.string())))
    if wanted.first is not None:
        meant = pc.and_(meant, pc.greater_equal(labels, wanted.first))
    if wanted.last is not None:
        meant = pc.and_(meant, pc.less_equal(labels, wanted.last))
    keep &= meant.to_numpy(zero_copy_only=False)[codes]
    return table if keep.all() else table.filter(pa.array(keep))


def _ordered(table: pa.Table) -> pa.Table:
    codes, labels = _labels(table)
    if not len(codes):
        return table
    used = np.unique(codes)
    order = used[pc.array_sort_indices(labels.take(pa.array(used))).to_numpy()]
    rank = np.empty(len(labels), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    codes, stamps = rank[codes], table[DS].to_numpy().astype(np.int64)
    column = pa.DictionaryArray.from_arrays(pa.array(codes), labels.take(pa.array(order)))
    table = table.set_column(table.schema.get_field_index(UNIQUE_ID), UNIQUE_ID, column)
    step = np.diff(codes)
    if (step < 0).any() or ((step == 0) & (np.diff(stamps) < 0)).any():
        return table.take(pa.array(np.lexsort((stamps, codes))))
    return table


def _labels(table: pa.Table) -> tuple[np.ndarray, pa.Array]:
    """The series of each row as a number, and their names, in any order."""
    column = table[UNIQUE_ID].unify_dictionaries()
    if not column.num_chunks:
        return np.empty(0, dtype=np.int32), pa.array([], pa.string())
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in column.chunks])
    return codes, column.chunk(0).dictionary.cast(pa.string())
