"""Locks between processes; a lock ends with the process that holds it, however that process ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from forecasting.errors import LockedError

__all__ = ["anomaly_lock", "forecast_lock", "notice_lock", "promotion_lock", "run_lock", "spool_lock", "trial_lock"]

_PATIENCE: Final = 600.0  # seconds
_FOREVER: Final = -1.0


def run_lock(folder: Path, job: str, *, waiting: Callable[[str], object]) -> AbstractContextManager[None]:
    """One run of a job at a time; `waiting` is called once with the reason if another run is under way."""
    return _held(folder, "run", job, waiting=lambda: waiting(f"waiting for another run of {job}"))


def anomaly_lock(folder: Path, job: str) -> AbstractContextManager[None]:
    """One judge of a job's new readings at a time."""
    return _held(folder, "anomaly", job)


def forecast_lock(folder: Path, job: str) -> AbstractContextManager[None]:
    """One batch forecast of a job at a time."""
    return _held(folder, "forecast", job)


def notice_lock(folder: Path, job: str, patience: float) -> AbstractContextManager[None]:
    """One sender of a job's messages at a time; raises LockedError after `patience` seconds."""
    return _held(folder, "notice", job, patience=patience)


def promotion_lock(folder: Path, job: str, patience: float | None = None) -> AbstractContextManager[None]:
    """One judgment or promotion of a job at a time.

    Raises LockedError if another process holds the lock for more than `patience` seconds; default: ten minutes.
    """
    return _held(folder, "promotion", job, patience=_PATIENCE if patience is None else patience)


def spool_lock(folder: Path, job: str, patience: float) -> AbstractContextManager[None]:
    """One writer of a job's spool at a time; raises LockedError after `patience` seconds."""
    return _held(folder, "spool", job, patience=patience)


def trial_lock(folder: Path, job: str, patience: float) -> AbstractContextManager[None]:
    """One trial of a bundle of a job at a time; raises LockedError after `patience` seconds."""
    return _held(folder, "trial", job, patience=patience)


@contextmanager
def _held(
    folder: Path, kind: str, job: str, *, patience: float = _FOREVER, waiting: Callable[[], object] | None = None
) -> Iterator[None]:
    """Hold this lock; makes the folder. The thread that holds a lock may take it again."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{kind}-{job}.lock", is_singleton=True)
    if not _acquired(lock, 0):
        if waiting is not None:
            waiting()
        if not _acquired(lock, patience):
            raise LockedError(f"another process has held the {kind} lock of {job} for more than {patience:.0f} s")
    try:
        yield
    finally:
        lock.release()


def _acquired(lock: FileLock, timeout: float) -> bool:
    try:
        lock.acquire(timeout=timeout)
    except Timeout:
        return False
    return True
