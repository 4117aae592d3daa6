"""Parquet files that join a Delta table: all of them in one commit, each of their rows once."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, create_table_with_add_actions

from forecasting.columns import CUTOFF, DS, UNIQUE_ID, VERSION
from forecasting.storage.opening import opened
from forecasting.storage.reading import RowFilter, TableVersion, files, read

__all__ = ["AT_ONCE", "FORECAST", "add", "add_new", "added", "linked", "making", "write_part"]

AT_ONCE: Final = CommitProperties(max_commit_retries=0)  # earlier reads must still hold
FORECAST: Final[tuple[str, ...]] = (UNIQUE_ID, DS, CUTOFF, VERSION)  # the key of a forecast
GROUP: Final = 131_072  # rows of a row group: small enough that a shard reads little beyond its own


def write_part(path: Path, table: pa.Table) -> None:
    """Write rows as one Parquet file of plain types."""
    labels = [field.name for field in table.schema if _is_label(field.type)]
    with pq.ParquetWriter(
        path,
        table.schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=[*labels, *(field.name for field in table.schema if not pa.types.is_floating(field.type))],
        store_schema=False,  # readers have the types of the table, not those of this writer
    ) as writer:
        writer.write_table(table, row_group_size=GROUP)


def add(path: str, parts: Sequence[Path], *, seen: int | None) -> None:
    """Link files into a table and add them in one commit; makes a missing table.

    `seen` is the table's version at an earlier read; raises CommitFailedError if there is a later one.
    """
    folder, schema = Path(path), pq.read_schema(parts[0])
    folder.mkdir(parents=True, exist_ok=True)
    actions = [added(folder, linked(part, folder)) for part in parts]
    try:
        if seen is None:
            with making(path):
                create_table_with_add_actions(path, Schema.from_arrow(schema), actions, mode="error")
        else:
            stored = _widened(opened(path, version=seen), schema)
            stored.create_write_transaction([*actions], "append", stored.schema(), commit_properties=AT_ONCE)
    except DeltaError:
        for action in actions:
            (folder / action.path).unlink()
        raise


@contextmanager
def making(path: str) -> Iterator[None]:
    """Make a table; raises CommitFailedError if another writer was faster."""
    try:
        yield
    except DeltaError as error:
        if DeltaTable.is_deltatable(path):
            raise CommitFailedError(str(error)) from error
        raise


def add_new(path: str, parts: Sequence[Path]) -> int:
    """Add the rows of forecast files whose keys are not stored yet, in one commit; returns their number.

    Raises CommitFailedError if another commit came first.
    """
    if not DeltaTable.is_deltatable(path):
        return _added(path, parts, None)
    stored = TableVersion(path, opened(path).version())
    with tempfile.TemporaryDirectory(dir=Path(path).parent) as drafts:
        fresh = [_fresh(part, stored, Path(drafts)) for part in parts]
        return _added(path, [part for part in fresh if part is not None], stored.version)


def _added(path: str, parts: Sequence[Path], seen: int | None) -> int:
    if parts:
        add(path, parts, seen=seen)
    return sum(pq.read_metadata(part).num_rows for part in parts)


def _fresh(part: Path, stored: TableVersion, drafts: Path) -> Path | None:
    """The file with the new rows of a part: the part itself, a draft, or none."""
    new = ~_known(part, stored)
    schema = _stored_types(pq.read_schema(part), stored)
    if not new.any():
        return None
    if new.all() and schema.equals(pq.read_schema(part)):
        return part
    draft = drafts / part.name
    write_part(draft, pq.read_table(part).filter(pa.array(new)).cast(schema))
    return draft


def _known(part: Path, stored: TableVersion) -> np.ndarray:
    """Which rows of a part have a stored key; files whose bounds exclude them are not read."""
    metadata = pq.read_metadata(part)
    least, greatest = _bounds(metadata)
    wanted = RowFilter(least.get(UNIQUE_ID), greatest.get(UNIQUE_ID))
    found = [_index(read(path, FORECAST, wanted)) for path in _meeting(stored, least, greatest)]
    if not found:
        return np.zeros(metadata.num_rows, dtype=bool)
    mine = _index(pq.read_table(part, columns=list(FORECAST)))
    known: np.ndarray = np.logical_or.reduce([np.asarray(mine.isin(keys)) for keys in found])
    return known


def _meeting(stored: TableVersion, least: dict[str, Any], greatest: dict[str, Any]) -> list[Path]:
    """The files of a table that may hold keys between these bounds; one without bounds may hold any."""
    return [
        file.path
        for file in files(stored)
        if all(
            file.least.get(name, low) <= greatest[name] and _latest(file.greatest.get(name, low)) >= low
            for name, low in least.items()
            if name != DS
        )
    ]


def _latest(value: Any) -> Any:
    """Round to milliseconds, as logs do."""
    return value + timedelta(milliseconds=1) if isinstance(value, datetime) else value


def _index(table: pa.Table) -> pd.MultiIndex:
    place = table.schema.get_field_index(UNIQUE_ID)
    plain = table.set_column(place, UNIQUE_ID, table[UNIQUE_ID].cast(pa.string()))
    return pd.MultiIndex.from_frame(plain.select(list(FORECAST)).to_pandas())


def _stored_types(schema: pa.Schema, stored: TableVersion) -> pa.Schema:
    """The columns of new rows with the types of the table, if it has them."""
    columns = pa.schema(opened(stored.path, version=stored.version).schema().to_arrow())
    known = {field.name: field for field in columns}
    return pa.schema([known.get(field.name, field) for field in schema])


def linked(part: Path, folder: Path) -> Path:
    """The file under a name of its own beside the table's others; copied only if it cannot be linked."""
    target = folder / f"{uuid.uuid4()}.parquet"
    try:
        os.link(part, target)
    except OSError:
        shutil.copyfile(part, target)
    return target


def added(folder: Path, file: Path, *, data_change: bool = True) -> AddAction:
    """A file's entry in a table's log: its size, its rows, and the bounds of its keys."""
    known = file.stat()
    metadata = pq.read_metadata(file)
    least, greatest = _bounds(metadata)
    statistics = {
        "numRecords": metadata.num_rows,
        "minValues": {name: _plain(value) for name, value in least.items()},
        "maxValues": {name: _plain(value) for name, value in greatest.items()},
        "nullCount": {},
    }
    return AddAction(
        str(file.relative_to(folder)),
        known.st_size,
        {},
        int(known.st_mtime * 1000),
        data_change,
        json.dumps(statistics),
    )


def _bounds(metadata: pq.FileMetaData) -> tuple[dict[str, Any], dict[str, Any]]:
    """Least and greatest value of the keys, if all row groups know them."""
    least: dict[str, Any] = {}
    greatest: dict[str, Any] = {}
    for place, name in enumerate(metadata.schema.names):
        if name not in FORECAST:
            continue
        found = [metadata.row_group(group).column(place).statistics for group in range(metadata.num_row_groups)]
        if found and all(one is not None and one.has_min_max for one in found):
            least[name], greatest[name] = min(one.min for one in found), max(one.max for one in found)
    return least, greatest


def _plain(value: Any) -> Any:
    return value.isoformat(timespec="microseconds") if isinstance(value, datetime) else value


def _widened(stored: DeltaTable, schema: pa.Schema) -> DeltaTable:
    """The table with the columns that only the new rows have."""
    names = {field.name for field in stored.schema().fields}
    lacking = [field for field in Schema.from_arrow(schema).fields if field.name not in names]
    if lacking:
        stored.alter.add_columns(lacking, commit_properties=AT_ONCE)
    return stored


def _is_label(type_: pa.DataType) -> bool:
    return bool(pa.types.is_dictionary(type_) or pa.types.is_string(type_) or pa.types.is_large_string(type_))
