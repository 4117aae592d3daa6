"""Forecasts of every job: each kept once as a vintage, by series, stamp, cutoff, and version."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable

from forecasting.columns import CUTOFF, HINDCAST, UNIQUE_ID, VERSION
from forecasting.errors import DataError
from forecasting.runtime.workspace import Workspace
from forecasting.storage import delta
from forecasting.storage.appending import FORECAST, add_new, write_part
from forecasting.storage.opening import opened

__all__ = ["ForecastTables", "of_vintages"]


def of_vintages(
    cutoff: pd.Timestamp | Sequence[pd.Timestamp] | None,
    since: pd.Timestamp | None,
    version: int | str | None,
    unique_id: str | None,
) -> list[pc.Expression]:
    """The conditions on the keys of a forecast; `since` leaves out earlier cutoffs, and None asks for nothing."""
    found: list[pc.Expression] = []
    if cutoff is not None:
        found.append(pc.field(CUTOFF).isin([cutoff] if isinstance(cutoff, pd.Timestamp) else list(cutoff)))
    if since is not None:
        found.append(pc.field(CUTOFF) >= since)
    if version is not None:
        found.append(pc.field(VERSION) == version)
    if unique_id is not None:
        found.append(delta.is_text(UNIQUE_ID, unique_id))
    return found


@dataclass(frozen=True)
class ForecastTables:
    """The tables of forecasts of a home, one per job; a write is one commit."""

    workspace: Workspace

    def append(self, job: str, table: pd.DataFrame) -> int:
        """Store forecasts once per (unique_id, ds, cutoff, version); returns the number of new rows."""
        delta.refuse_repeated(table, FORECAST)
        folder = self.workspace.tables(job)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=folder) as drafts:
            part = Path(drafts, "part.parquet")
            write_part(part, delta.to_arrow(table))
            return self.commit(job, [part])

    def commit(self, job: str, parts: Sequence[Path]) -> int:
        """Store the forecasts in Parquet files like `append`, all in one commit; returns the number of new rows.

        The files must not change afterwards: the table may share them.
        """
        return delta.retried(lambda: _append(self._path(job), parts))

    def read(
        self,
        job: str,
        *,
        cutoff: pd.Timestamp | Sequence[pd.Timestamp] | None = None,
        since: pd.Timestamp | None = None,
        version: int | str | None = None,
        unique_id: str | None = None,
        columns: Sequence[str] | None = None,
        hindcasts: bool = True,
    ) -> pd.DataFrame:
        """The stored forecasts of `job`, optionally of some cutoffs, a model version, or a series.

        `since` leaves out earlier cutoffs; `columns` are read beside the keys; `hindcasts` were made when what they
        forecast was known already. Raises DataError if there are none.
        """
        conditions = of_vintages(cutoff, since, version, unique_id)
        wanted = None if columns is None else [*FORECAST, *columns]
        if hindcasts or HINDCAST not in self.columns(job):
            return delta.select(self._stored(job), FORECAST, wanted, conditions)
        rows = delta.select(self._stored(job), FORECAST, wanted and [*wanted, HINDCAST], conditions)
        marked = rows.pop(HINDCAST).eq(True).to_numpy(dtype=bool)  # rows that are older than the mark have none
        return rows[~marked].reset_index(drop=True)

    def columns(self, job: str) -> list[str]:
        """The names of all columns of the stored forecasts of `job`; raises DataError if there are none."""
        return [field.name for field in self._stored(job).schema().fields]

    def last_cutoff(self, job: str) -> pd.Timestamp:
        """The newest cutoff of the stored forecasts of `job`, to the millisecond; raises DataError if there are none.

        It comes from the table's log: no forecast is read for it.
        """
        files = pa.table(self._stored(job).get_add_actions(flatten=True))
        return pd.Timestamp(pc.max(files[f"max.{CUTOFF}"]).as_py()).as_unit("us")

    def _stored(self, job: str) -> DeltaTable:
        path = self._path(job)
        if not DeltaTable.is_deltatable(path):
            raise DataError(f"no forecasts of {job} are stored; make them with: gatecast forecast CONFIG")
        return opened(path)

    def _path(self, job: str) -> str:
        return str(self.workspace.forecasts(job))


def _append(path: str, parts: Sequence[Path]) -> int:
    if parts and DeltaTable.is_deltatable(path):
        delta.refuse_other_types(opened(path), pq.read_schema(parts[0]))
    return add_new(path, parts)
