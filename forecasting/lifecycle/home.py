"""An open home: its paths, its tables, and its registry."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from forecasting.config.settings import Settings
from forecasting.registry.registry import Registry
from forecasting.runtime.workspace import Workspace
from forecasting.storage.store import Store

__all__ = ["Home", "open_home"]


class Home(NamedTuple):
    """The state of a job in its home."""

    workspace: Workspace
    store: Store
    registry: Registry
    dask: str | None = None  # the address of a cluster for batch forecasts
    notify: Path | None = None  # whom to tell of jobs that do not say it


def open_home(settings: Settings | None = None) -> Home:
    """The home of these settings, by default those of the environment; its first use creates it."""
    settings = settings or Settings()
    registry = Registry(settings.tracking_uri, settings.home, settings.locks)
    return Home(Workspace(settings.home), Store(settings.home), registry, settings.dask, settings.notify)
