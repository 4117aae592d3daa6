"""SQLAlchemy databases by URL; no message shows a password."""

from __future__ import annotations

import sqlalchemy
from sqlalchemy.exc import ArgumentError

from forecasting.errors import SourceError
from forecasting.runtime.environment import expand

__all__ = ["engine_of"]


def engine_of(url: str, *, key: str) -> sqlalchemy.Engine:
    """The engine of a database URL with its variables replaced; `key` names it in messages. Raises SourceError."""
    try:
        return sqlalchemy.create_engine(expand(url, key=key), poolclass=sqlalchemy.NullPool)
    except ArgumentError as error:
        raise SourceError(f"{key} is not an SQLAlchemy URL such as postgresql+psycopg://user@host/name") from error
    except ModuleNotFoundError as error:
        raise SourceError(f"the database driver {error.name} of {key} is not installed") from error
