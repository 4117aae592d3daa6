"""Shared basics of every Delta table here: rows in and out as pandas tables, unique keys, writers that wait."""

from __future__ import annotations

import functools
import operator
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from forecasting.errors import DataError, no_space
from forecasting.storage.appending import making

__all__ = ["create", "is_text", "matching", "refuse_other_types", "refuse_repeated", "retried", "select", "to_arrow"]

_ATTEMPTS: Final = 8
_PAUSE: Final = 0.05  # seconds, times the number of the attempt

Result = TypeVar("Result")


def select(
    stored: DeltaTable, order: Sequence[str], columns: list[str] | None, conditions: Sequence[pc.Expression]
) -> pd.DataFrame:
    """The rows of a table that meet all conditions, in this order; without `columns` all columns."""
    condition = functools.reduce(operator.and_, conditions) if conditions else None
    table: pd.DataFrame = stored.to_pyarrow_dataset().to_table(columns=columns, filter=condition).to_pandas()
    return table.sort_values(list(order), kind="stable", ignore_index=True)


def is_text(name: str, value: str) -> pc.Expression:
    """Match rows with this text; Arrow cannot compare the kind of text column that a merge leaves behind."""
    return pc.field(name).cast(pa.string()) == value


def create(path: str, table: pd.DataFrame) -> None:
    """Make a table of these rows; raises CommitFailedError if another writer was faster."""
    with making(path):
        write_deltalake(path, to_arrow(table), mode="error")


def retried(write: Callable[[], Result]) -> Result:
    """The result of `write`, retried if another writer was faster; raises DataError, SpaceError."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return write()
        except CommitFailedError as error:
            if attempt == _ATTEMPTS:
                raise DataError(f"other writers changed the table {attempt} times; try again: {error}") from error
            time.sleep(_PAUSE * attempt)
        except DeltaError as error:
            raise no_space(error) or DataError(f"the rows do not fit the stored table: {error}") from error
    raise AssertionError("unreachable")


def matching(keys: Sequence[str]) -> str:
    """The condition of a merge: `old` and `new` rows have the same keys."""
    return " AND ".join(f"old.{key} = new.{key}" for key in keys)


def refuse_repeated(table: pd.DataFrame, keys: Sequence[str]) -> None:
    """Raise DataError if rows share a key."""
    repeated = table.duplicated(list(keys))
    if repeated.any():
        raise DataError(
            f"{repeated.sum()} row(s) repeat a key ({', '.join(keys)}) and cannot be stored; clean them first"
        )


def refuse_other_types(stored: DeltaTable, after: pa.Schema) -> list[str]:
    """The stored columns; raises DataError that lists those for which the new rows have another type."""
    before = stored.to_pyarrow_dataset().schema
    names: list[str] = before.names
    other = [
        f"column {name} holds {before.field(name).type}, the new rows {after.field(name).type}"
        for name in after.names
        if name in names and _kind(before.field(name).type) != _kind(after.field(name).type)
    ]
    if other:
        raise DataError("the rows do not fit the stored table; rename the column:", other)
    return names


def to_arrow(table: pd.DataFrame) -> pa.Table:
    """The rows without pandas' own metadata, which no other reader understands."""
    return pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)


def _kind(type_: pa.DataType) -> str:
    if pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return "text"
    return "stamp" if pa.types.is_timestamp(type_) else "number"
