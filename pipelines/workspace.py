"""Where a flow keeps things: the store, the registry and the working folders of this home."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from forecasting.registry import Registry
from forecasting.series.store import Store
from forecasting.settings import Settings

__all__ = ["Workspace", "workspace"]


class Workspace(NamedTuple):
    """The home of all jobs."""

    home: Path
    store: Store
    registry: Registry

    def run(self, job: str, key: str) -> Path:
        """The working folder of one run; the same content, the same folder."""
        return self.home / "work" / job / key[:16]

    @property
    def cache(self) -> Path:
        """Where bundles from the registry are kept."""
        return self.home / "cache"


def workspace() -> Workspace:
    """The workspace that the environment names."""
    settings = Settings()
    return Workspace(
        settings.home, Store(settings.home), Registry(settings.tracking_uri, settings.artifacts, settings.locks)
    )
