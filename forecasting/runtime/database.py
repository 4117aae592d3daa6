"""Databases that SQLAlchemy knows, by their addresses; a password never stands in a message."""

from __future__ import annotations

import sqlalchemy
from sqlalchemy.exc import ArgumentError

from forecasting.errors import SourceError
from forecasting.runtime.environment import expand

__all__ = ["engine_of"]


def engine_of(url: str, *, key: str) -> sqlalchemy.Engine:
    """The engine of an address in which variables are replaced; `key` is what messages call it. Raises SourceError."""
    try:
        return sqlalchemy.create_engine(expand(url, key=key), poolclass=sqlalchemy.NullPool)
    except ArgumentError as error:
        raise SourceError(f"{key} is no SQLAlchemy address such as postgresql+psycopg://user@host/name") from error
    except ModuleNotFoundError as error:
        raise SourceError(f"the database driver {error.name} of {key} is not installed") from error
