"""Targets for forecasts beside the store: files, arrays, Delta tables, databases; part by part, all or nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sql
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from forecasting.columns import HINDCAST, quantile_columns
from forecasting.config.series import Series
from forecasting.errors import ConfigError, DataError
from forecasting.runtime.database import engine_of
from forecasting.runtime.files import replace
from forecasting.series.layout import learn_layout
from forecasting.storage.appending import FORECAST, add_new, write_part
from forecasting.storage.grid_files import Cube, cube, write_netcdf, write_npz

__all__ = ["outlet"]

Tables = Iterator[pd.DataFrame]
Outlet = Callable[[Tables], None]

_ROWS: Final = 5000  # of one statement
_TABLE: Final = "forecasts"


def outlet(target: str, series: Series) -> Outlet:
    """The writer of forecast tables to a file, the folder of a Delta table, or the URL of a database.

    Files are replaced whole. A Delta table takes all in one commit, a database in one transaction, and both keep each
    forecast once, by (unique_id, ds, cutoff, version). Raises ConfigError for an unknown kind of target.
    """
    path = Path(target)
    if "://" in target or target.startswith("${"):
        return partial(_write_sql, _database(target))
    if path.suffix in _FILES or (path.suffix in _ARRAYS and series.layout != "none"):
        writer = _FILES.get(path.suffix) or partial(_write_arrays, series)
        return lambda tables: replace(path, lambda draft: writer(tables, draft))
    if not path.suffix and (not path.exists() or path.is_dir()):
        return partial(_write_delta, path)
    known = ", ".join((*_FILES, *_ARRAYS) if series.layout != "none" else _FILES)
    hint = "; arrays need series.layout" if path.suffix in _ARRAYS else ""
    raise ConfigError(f"cannot write {target}: use no suffix for a Delta table, or one of {known}{hint}")


def _write_csv(tables: Tables, draft: Path) -> None:
    with draft.open("w", encoding="utf-8", newline="") as file:
        for number, table in enumerate(tables):
            table.to_csv(file, index=False, header=number == 0)


def _write_parquet(tables: Tables, draft: Path) -> None:
    first = pa.Table.from_pandas(next(tables), preserve_index=False)
    with pq.ParquetWriter(draft, first.schema) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(pa.Table.from_pandas(table, schema=first.schema, preserve_index=False))


def _write_arrays(series: Series, tables: Tables, draft: Path) -> None:
    table = pd.concat(tables, ignore_index=True)
    layout = learn_layout(table, series)
    if layout is None:
        raise ConfigError("arrays need series.layout, which is none")
    columns = quantile_columns(table.columns)
    content = cube(table, layout, columns)
    _ARRAYS[draft.suffix](content, [float(name[1:]) for name in columns], draft)


def _write_delta(folder: Path, tables: Tables) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        parts = []
        for number, table in enumerate(tables):
            parts.append(Path(scratch, f"part-{number:05d}.parquet"))
            write_part(parts[-1], pa.Table.from_pandas(table, preserve_index=False))
        add_new(str(folder.absolute()), parts)


def _database(url: str) -> sql.Engine:
    engine = engine_of(url, key="--out")
    if engine.dialect.name not in _INSERTS:
        raise ConfigError(f"--out writes to {' and '.join(_INSERTS)}, not to {engine.dialect.name}")
    return engine


def _write_sql(engine: sql.Engine, tables: Tables) -> None:
    """Write in one transaction: rows whose key is there already stay as they are."""
    try:
        with engine.begin() as connection:
            for table in (each.drop(columns=HINDCAST, errors="ignore") for each in tables):  # a table cannot grow
                target = _sql_table(table)
                target.create(connection, checkfirst=True)
                statement = _INSERTS[engine.dialect.name](target)
                for begin in range(0, len(table), _ROWS):
                    rows = table[begin : begin + _ROWS].to_dict("records")
                    connection.execute(statement, [{str(name): row[name] for name in row} for row in rows])
    except SQLAlchemyError as error:
        place = engine.url.render_as_string(hide_password=True)
        reason = getattr(error, "orig", None) or error
        raise DataError(f"the database {place} refused the forecasts: {str(reason).strip()}") from error
    finally:
        engine.dispose()


def _sql_table(table: pd.DataFrame) -> sql.Table:
    """The columns of the forecasts, known by the key of the store."""
    columns = [sql.Column(str(name), _type_of(table[name]), primary_key=name in FORECAST) for name in table.columns]
    return sql.Table(_TABLE, sql.MetaData(), *columns)


def _type_of(column: pd.Series) -> sql.types.TypeEngine[Any]:
    if pd.api.types.is_datetime64_any_dtype(column):
        return sql.DateTime()
    if pd.api.types.is_integer_dtype(column):
        return sql.BigInteger()
    return sql.Double() if pd.api.types.is_float_dtype(column) else sql.Text()


_FILES: Final[dict[str, Callable[[Tables, Path], None]]] = {".csv": _write_csv, ".parquet": _write_parquet}
_ARRAYS: Final[dict[str, Callable[[Cube, list[float], Path], None]]] = {".nc": write_netcdf, ".npz": write_npz}
_INSERTS: Final[dict[str, Callable[[sql.Table], sql.Insert]]] = {
    "postgresql": lambda table: postgresql.insert(table).on_conflict_do_nothing(),
    "sqlite": lambda table: sqlite.insert(table).on_conflict_do_nothing(),
}
