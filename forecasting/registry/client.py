"""The client of MLflow: quiet, without telemetry, and with one clear error when MLflow does not answer."""

from __future__ import annotations

import functools
import importlib
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from forecasting.errors import PermissionDeniedError, RegistryError
from forecasting.runtime.files import create

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from sqlalchemy import URL

__all__ = ["connect", "load"]

_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_SERVERS = ("http", "https")

# Set before MLflow is imported, unless the user has decided otherwise.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # standard output is for our own results
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # a service logs JSON to standard error
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # MLflow's own default keeps trying for four minutes
}


@contextmanager
def connect(tracking_uri: str) -> Iterator[MlflowClient]:
    """A client of the tracking server or database; MLflow's errors inside become one RegistryError."""
    client = _client(tracking_uri)
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield client
    except (MlflowException, SQLAlchemyError) as error:
        place, reason = f"MLflow at {_public(tracking_uri)}", _reason(error, tracking_uri)
        if getattr(error, "error_code", "") == "PERMISSION_DENIED":
            raise PermissionDeniedError(f"{place} does not allow that to this account: {reason}") from error
        raise RegistryError(f"{place} failed: {reason}") from error


def load() -> None:
    """Import MLflow, quietly: an import that fails halfway, for want of descriptors, would fail for ever after."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns about its own type hints
        importlib.import_module("mlflow.pyfunc")
    logging.getLogger("mlflow").setLevel(os.environ["MLFLOW_LOGGING_LEVEL"])


@functools.cache
def _client(tracking_uri: str) -> MlflowClient:
    scheme = urlsplit(tracking_uri).scheme.split("+")[0]
    if scheme not in (*_DATABASES, *_SERVERS):
        raise RegistryError(
            "the tracking URI must start with sqlite:///, postgresql+psycopg:// or http(s)://,"
            f" not {scheme or 'a path'}"
        )
    try:
        load()
        return _opened(tracking_uri) if scheme in _DATABASES else _connected(tracking_uri)
    except ImportError as error:
        raise RegistryError(f"MLflow at {_public(tracking_uri)} needs the package {error.name}") from error


def _connected(tracking_uri: str) -> MlflowClient:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri, registry_uri=tracking_uri)


def _opened(url: str) -> MlflowClient:
    """A client of a database; fails at once and clearly where MLflow would retry for minutes."""
    import sqlalchemy
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        place = sqlalchemy.engine.make_url(url)
        file = Path(place.database or ":memory:") if url.startswith("sqlite") else None
        if file and file.name != ":memory:" and not file.exists():
            _make(place, file)
        sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool).connect().close()
        return _connected(url)
    except (SQLAlchemyError, MlflowException, OSError) as error:
        raise RegistryError(f"MLflow's database {_public(url)} cannot be opened: {_reason(error, url)}") from error


def _make(place: URL, path: Path) -> None:
    """Let MLflow make its tables in a draft that appears whole: a half-made database could not be opened."""
    create(path, lambda draft: _connected(place.set(database=str(draft)).render_as_string(hide_password=False)))


def _reason(error: Exception, uri: str) -> str:
    """The first line of MLflow's error; it repeats the address, password and all."""
    return str(error).strip().split("\n", 1)[0].replace(uri, _public(uri))


def _public(uri: str) -> str:
    """The address without its password."""
    password = urlsplit(uri).password
    return uri if password is None else uri.replace(f":{password}@", ":***@")
