"""A home, opened: its paths, its tables and its registry, for whoever runs something in it."""

from __future__ import annotations

from typing import NamedTuple

from forecasting.config.settings import Settings
from forecasting.registry.registry import Registry
from forecasting.runtime.workspace import Workspace
from forecasting.storage.store import Store

__all__ = ["Home", "open_home"]


class Home(NamedTuple):
    """What a job finds and leaves in a home."""

    workspace: Workspace
    store: Store
    registry: Registry
    dask: str | None = None  # the address of a cluster for batch forecasts


def open_home(settings: Settings | None = None) -> Home:
    """The home of these settings, by default the one that the environment names; it is made by its first use."""
    settings = settings or Settings()
    registry = Registry(settings.tracking_uri, settings.home, settings.locks)
    return Home(Workspace(settings.home), Store(settings.home), registry, settings.dask)
