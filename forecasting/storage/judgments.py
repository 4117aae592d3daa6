"""Readings of every job as they were judged when they came, each once."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow.compute as pc
from deltalake import DeltaTable

from forecasting.columns import DS, UNIQUE_ID
from forecasting.runtime.workspace import Workspace
from forecasting.storage import delta
from forecasting.storage.appending import FORECAST, add_new, write_part
from forecasting.storage.opening import opened

__all__ = ["JudgmentTables"]


@dataclass(frozen=True)
class JudgmentTables:
    """The tables of judged readings of a home, one per job; a write is one commit."""

    workspace: Workspace

    def append(self, job: str, table: pd.DataFrame) -> int:
        """Store judgments once per forecast that a reading was judged by; returns the number of new rows."""
        folder = self.workspace.tables(job)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=folder) as drafts:
            part = Path(drafts, "part.parquet")
            ordered = table.sort_values([UNIQUE_ID, DS], kind="stable", ignore_index=True)
            write_part(part, delta.to_arrow(ordered))
            return delta.retried(lambda: add_new(str(self.workspace.judgments(job)), [part]))

    def read(self, job: str, *, since: pd.Timestamp | None = None) -> pd.DataFrame:
        """The judged readings of `job` in order of (unique_id, ds); empty, without columns, if there are none."""
        path = str(self.workspace.judgments(job))
        if not DeltaTable.is_deltatable(path):
            return pd.DataFrame()
        return delta.select(opened(path), FORECAST, None, [] if since is None else [pc.field(DS) >= since])
