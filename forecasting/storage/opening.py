"""How a Delta table is opened: a damaged one is one sentence, and a lost commit is not taken for an old table."""

from __future__ import annotations

from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from forecasting.errors import StorageError

__all__ = ["opened"]


def opened(path: str, version: int | None = None) -> DeltaTable:
    """The table at `path` as of `version`, by default its latest; raises StorageError where its log is damaged.

    A power cut can leave the newest commit empty: its rows would be gone without a word.
    """
    try:
        table = DeltaTable(path, version=version)
    except (DeltaError, OSError, ValueError) as error:
        raise StorageError(f"the table {path} is damaged: {_reason(error)}; restore it from a backup") from error
    commit = Path(path, "_delta_log", f"{table.version():020d}.json")
    if commit.exists() and not commit.stat().st_size:
        raise StorageError(f"the table {path} is damaged: its commit {commit.name} is empty; restore it from a backup")
    return table


def _reason(error: Exception) -> str:
    """The first line of what the library says, without its backtrace."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(":. ")[:200]
