"""A query on any database that SQLAlchemy knows, into a long table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import sqlalchemy
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from forecasting.config.series import Series
from forecasting.config.source import SqlSource
from forecasting.errors import SourceError
from forecasting.runtime.database import engine_of
from forecasting.sources.parsing import columns as named

__all__ = ["read", "rows"]


def read(source: SqlSource, series: Series, name: str) -> pd.DataFrame:
    """The long table that `source.query` gives; without a `unique_id` column it is one series, called `name`.

    Raise SourceError for no connection, a failing query, missing columns, no rows, unreadable values.
    The password of the address never stands in a message.
    """
    frame = rows(source)
    named.check(list(frame.columns), source.columns, series, name="the result of source.query")
    if frame.empty:
        raise SourceError("source.query gives no rows")
    table, problems = named.long_table(frame, source, series, name=name)
    if problems:
        raise SourceError("\n".join(["the source has unreadable values:", *(f"  - {problem}" for problem in problems)]))
    return table


def rows(source: SqlSource) -> pd.DataFrame:
    """What `source.query` gives, as it comes; raises SourceError for no connection or a failing query."""
    engine = engine_of(source.url, key="source.url")
    _refuse_missing(engine.url)
    return _frame(engine, source.query)


def _refuse_missing(url: sqlalchemy.URL) -> None:
    """SQLite makes an empty database of any path that it does not know, so a mistyped one would leave a file behind."""
    path = url.database
    if url.get_backend_name() != "sqlite" or path in (None, "", ":memory:") or str(path).startswith("file:"):
        return
    if not Path(str(path)).is_file():
        raise SourceError(
            f"source.url names no SQLite database: there is no file {path} (working directory {Path.cwd()})"
        )


def _frame(engine: sqlalchemy.Engine, query: str) -> pd.DataFrame:
    place = engine.url.render_as_string(hide_password=True)
    try:
        with engine.connect() as connection:
            # without parameters the text is passed on as it is, with its % and : signs
            result = connection.execution_options(no_parameters=True).exec_driver_sql(query)
            if not result.returns_rows:
                raise SourceError("source.query must be a query that gives rows, such as SELECT …")
            frame = pd.DataFrame([tuple(row) for row in result], columns=list(result.keys()))
    except DBAPIError as error:
        raise SourceError(f"the database {place} refuses: {str(error.orig).strip()}") from error
    except SQLAlchemyError as error:
        raise SourceError(f"the database {place} cannot be read: {error}") from error
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    return frame
