"""Where a flow keeps things: the store, the registry and the working folders of this home."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout
from rich.console import Console

from forecasting.config.settings import Settings
from forecasting.registry.registry import Registry
from forecasting.storage.store import Store

__all__ = ["Workspace", "workspace"]


class Workspace(NamedTuple):
    """The home of all jobs."""

    home: Path
    locks: Path
    store: Store
    registry: Registry
    dask: str | None = None  # the address of a cluster

    def run(self, job: str, key: str) -> Path:
        """The working folder of one run; the same content, the same folder."""
        return self.home / "work" / job / key[:16]

    @contextmanager
    def alone(self, job: str) -> Iterator[None]:
        """Only one run of a job at a time in this home; a second one says so and waits.

        The lock goes with its process, however that ends.
        """
        self.locks.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.locks / f"run-{job}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            Console(stderr=True).print(f"waiting: another run of {job} is under way", highlight=False)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @property
    def cache(self) -> Path:
        """Where bundles from the registry are kept."""
        return self.home / "cache"


def workspace() -> Workspace:
    """The workspace that the environment names."""
    settings = Settings()
    registry = Registry(settings.tracking_uri, settings.artifacts, settings.locks)
    return Workspace(settings.home, settings.home / "locks", Store(settings.home), registry, settings.dask)
