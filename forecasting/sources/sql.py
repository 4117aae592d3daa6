"""A query on any database that SQLAlchemy knows, into a long table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from forecasting.config.series import Series
from forecasting.config.source import SqlSource
from forecasting.errors import SourceError
from forecasting.runtime.database import engine_of
from forecasting.sources.parsing import columns as named
from forecasting.sources.parsing.marks import begin_of, highest

__all__ = ["read", "read_new", "rows"]


def read(source: SqlSource, series: Series, name: str) -> pd.DataFrame:
    """The long table that `source.query` gives; without a `unique_id` column it is one series, called `name`.

    Raise SourceError for no connection, a failing query, missing columns, no rows, unreadable values.
    The password of the address never stands in a message.
    """
    return _table(rows(source), source, series, name)


def read_new(source: SqlSource, series: Series, name: str, mark: str | None) -> tuple[pd.DataFrame, str | None]:
    """The rows since `mark`, less the overlap, and the mark behind them; all rows without a mark or a column of marks.

    Where nothing is left from there on, rows were deleted, and all of them are read. Raise SourceError as `read`, and
    for a column whose values have no order.
    """
    if source.since is None:
        return read(source, series, name), None
    frame = rows(source, None if mark is None else begin_of(mark, source.overlap))
    if frame.empty and mark is not None:
        frame, mark = rows(source), None
    if source.since not in frame:
        raise SourceError(f"the result of source.query has no column {source.since}, which source.since names")
    behind = highest(frame[source.since], mark) if len(frame) else mark
    if behind is not None:
        begin_of(behind, source.overlap)  # what the next reading would stumble over is said by this one
    used = named.wanted(source.columns, series) or [*named.names_of(source.columns.ds)]
    return _table(frame if source.since in used else frame.drop(columns=source.since), source, series, name), behind


def _table(frame: pd.DataFrame, source: SqlSource, series: Series, name: str) -> pd.DataFrame:
    named.check(list(frame.columns), source.columns, series, name="the result of source.query")
    if frame.empty:
        raise SourceError("source.query gives no rows")
    table, problems = named.long_table(frame, source, series, name=name)
    if problems:
        raise SourceError("\n".join(["the source has unreadable values:", *(f"  - {problem}" for problem in problems)]))
    return table


def rows(source: SqlSource, begin: Any = None) -> pd.DataFrame:
    """What `source.query` gives from `begin` on, as it comes; raises SourceError for no connection, a failing query."""
    engine = engine_of(source.url, key="source.url")
    _refuse_missing(engine.url)
    if begin is None or source.since is None:
        return _frame(engine, source.query, None)
    column = engine.dialect.identifier_preparer.quote(source.since)
    query = source.query.strip().rstrip(";").replace(":", r"\:")  # its signs are its own
    within = sqlalchemy.text(f"SELECT * FROM ({query}\n) AS new_rows WHERE {column} >= :begin")  # noqa: S608 - of the job
    return _frame(engine, within, {"begin": begin})


def _refuse_missing(url: sqlalchemy.URL) -> None:
    """SQLite makes an empty database of any path that it does not know, so a mistyped one would leave a file behind."""
    path = url.database
    if url.get_backend_name() != "sqlite" or path in (None, "", ":memory:") or str(path).startswith("file:"):
        return
    if not Path(str(path)).is_file():
        raise SourceError(
            f"source.url names no SQLite database: there is no file {path} (working directory {Path.cwd()})"
        )


def _frame(
    engine: sqlalchemy.Engine, query: str | sqlalchemy.TextClause, values: dict[str, Any] | None
) -> pd.DataFrame:
    place = engine.url.render_as_string(hide_password=True)
    try:
        with engine.connect() as connection:
            if isinstance(query, str):  # without parameters it is passed on as it is, with its % and : signs
                result = connection.execution_options(no_parameters=True).exec_driver_sql(query)
            else:
                result = connection.execute(query, values)
            if not result.returns_rows:
                raise SourceError("source.query must be a query that gives rows, such as SELECT …")
            frame = pd.DataFrame([tuple(row) for row in result], columns=list(result.keys()))
    except DBAPIError as error:
        raise SourceError(f"the database {place} refuses: {str(error.orig).strip()}") from error
    except SQLAlchemyError as error:
        raise SourceError(f"the database {place} cannot be read: {error}") from error
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    return frame
