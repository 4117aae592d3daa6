"""Small tables that are updated by key: the monitor's scores and verdicts, events, and messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from deltalake import DeltaTable

from forecasting.storage import delta
from forecasting.storage.opening import opened

__all__ = ["KeyedTables"]


@dataclass(frozen=True)
class KeyedTables:
    """One table per job at `place(job)`, whose rows have these keys; a write is one commit."""

    place: Callable[[str], Path]
    keys: tuple[str, ...]

    def keep(self, job: str, table: pd.DataFrame) -> None:
        """Insert rows, or replace those that have the same keys."""
        delta.refuse_repeated(table, self.keys)
        if len(table):
            delta.retried(lambda: self._replace(str(self.place(job)), table))

    def read(self, job: str) -> pd.DataFrame:
        """All rows of `job` in order of the keys; an empty table without columns if there are none."""
        path = str(self.place(job))
        if not DeltaTable.is_deltatable(path):
            return pd.DataFrame()
        return delta.select(opened(path), self.keys, None, ())

    def _replace(self, path: str, table: pd.DataFrame) -> None:
        if not DeltaTable.is_deltatable(path):
            delta.create(path, table)
            return
        stored, content = opened(path), delta.to_arrow(table)
        delta.refuse_other_types(stored, content.schema)
        condition = delta.matching(self.keys)
        merge = stored.merge(content, condition, source_alias="new", target_alias="old", merge_schema=True)
        merge.when_matched_update_all().when_not_matched_insert_all().execute()
