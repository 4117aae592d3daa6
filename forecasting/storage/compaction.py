"""A table's files rewritten for reading: none too small, each a stretch of time in order of its series."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from deltalake import CommitProperties
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

from forecasting.columns import DS, UNIQUE_ID
from forecasting.storage.appending import added, linked, write_part
from forecasting.storage.opening import opened
from forecasting.storage.reading import File, RowFilter, TableVersion, files, footer, rows

__all__ = ["brought", "compact", "vacuum"]

_ROWS: Final = 4_000_000  # of a file
_SMALL: Final = _ROWS // 4
_MANY: Final = 16  # small files that a table may have
_MARK: Final = "gatecast.compaction"  # in the log, of commits without new rows
_TIDIED: Final = CommitProperties(custom_metadata={_MARK: "true"}, max_commit_retries=0)


def compact(path: str) -> int:
    """Rewrite small, oversized, or unordered files in one commit; returns their number.

    The content stays. If another writer was faster, nothing is done until the next time.
    """
    stored = TableVersion(path, opened(path).version())
    poor = _poor(files(stored))
    if not poor:
        return 0
    folder = Path(path)
    with tempfile.TemporaryDirectory(prefix=".", dir=folder.parent) as scratch:
        actions: list[AddAction | RemoveAction] = []
        for number, (since, until) in enumerate(pairwise(_edges(poor))):
            wanted = RowFilter(since=since, until=until - pd.Timedelta(microseconds=1))
            found = rows(poor, stored, wanted)
            if len(found):
                draft = Path(scratch, f"{number:05d}.parquet")
                write_part(draft, found)
                actions.append(added(folder, linked(draft, folder), data_change=False))
    table, now = opened(path, version=stored.version), int(time.time() * 1000)
    removed = [RemoveAction(file.path.name, False, now, file.path.stat().st_size, {}) for file in poor]
    try:
        table.create_write_transaction([*actions, *removed], "append", table.schema(), commit_properties=_TIDIED)
    except CommitFailedError:
        for action in actions:
            (folder / action.path).unlink()
        return 0
    return len(poor)


def brought(commit: Mapping[str, Any]) -> bool:
    """Whether a commit of a table's history wrote new rows."""
    return commit["operation"] in ("WRITE", "MERGE") and _MARK not in commit


def vacuum(path: str, keep_days: int) -> int:
    """Delete files that no version of the last `keep_days` days needs; returns their number."""
    stored = opened(path)
    return len(stored.vacuum(keep_days * 24, dry_run=False, enforce_retention_duration=False))


def _poor(found: tuple[File, ...]) -> list[File]:
    small = [file for file in found if file.rows < _SMALL]
    return [
        file
        for file in found
        if file.rows > 2 * _ROWS or not _ordered(file.path) or (len(small) > _MANY and file.rows < _SMALL)
    ]


def _ordered(path: Path) -> bool:
    """Whether each row group of a file holds later series than the one before."""
    metadata = footer(path)
    place = metadata.schema.names.index(UNIQUE_ID)
    found = [metadata.row_group(number).column(place).statistics for number in range(metadata.num_row_groups)]
    known = all(one is not None and one.has_min_max for one in found)
    return len(found) < 2 or (known and all(one.max <= next_.min for one, next_ in pairwise(found)))


def _edges(poor: list[File]) -> list[pd.Timestamp]:
    """Stamps that divide the rows into about as many as a file should have, taking rows as spread evenly."""
    least = np.array([pd.Timestamp(file.least[DS]).value for file in poor], dtype=float)
    greatest = np.array([pd.Timestamp(file.greatest[DS]).value for file in poor], dtype=float) + 1e6
    counts = np.array([file.rows for file in poor], dtype=float)
    grid = np.linspace(least.min(), greatest.max() + 1e6, 1001)
    before = [(counts * np.clip((stamp - least) / (greatest - least), 0, 1)).sum() for stamp in grid]
    pieces = max(1, round(counts.sum() / _ROWS))
    inner = np.interp(np.arange(1, pieces) * counts.sum() / pieces, before, grid)
    stamps = [pd.Timestamp(round(edge / 1000), unit="us") for edge in (grid[0], *inner, grid[-1])]
    return [stamp.as_unit("us") for stamp in dict.fromkeys(stamps)]
