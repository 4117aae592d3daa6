"""Vintages of named alternatives of what is known ahead, apart from the forecasts that are scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from deltalake import DeltaTable

from forecasting.columns import CREATED, CUTOFF, SCENARIO, UNIQUE_ID
from forecasting.runtime.workspace import Workspace
from forecasting.storage import delta
from forecasting.storage.appending import FORECAST
from forecasting.storage.forecasts import of_vintages
from forecasting.storage.opening import opened

__all__ = ["AlternativeTables"]

_KEYS: Final = (*FORECAST, SCENARIO)


@dataclass(frozen=True)
class AlternativeTables:
    """The tables of alternatives of a home, one per job; a write is one commit."""

    workspace: Workspace

    def keep(self, job: str, table: pd.DataFrame) -> int:
        """Store forecasts with the column `scenario`; returns the number of new and changed rows.

        A row of the same (unique_id, ds, cutoff, version, scenario) is replaced; the same forecasts change nothing.
        """
        delta.refuse_repeated(table, _KEYS)
        self.workspace.tables(job).mkdir(parents=True, exist_ok=True)
        return delta.retried(lambda: _keep(self._path(job), table))

    def read(
        self,
        job: str,
        scenario: str | None = None,
        *,
        cutoff: pd.Timestamp | Sequence[pd.Timestamp] | None = None,
        since: pd.Timestamp | None = None,
        version: int | None = None,
        unique_id: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """The stored forecasts of an alternative, or of all, chosen as in `ForecastTables`; empty if there are none."""
        path = self._path(job)
        if not DeltaTable.is_deltatable(path):
            return pd.DataFrame(columns=list(_KEYS))
        conditions = of_vintages(cutoff, since, version, unique_id)
        if scenario is not None:
            conditions.append(delta.is_text(SCENARIO, scenario))
        return delta.select(opened(path), _KEYS, None if columns is None else [*_KEYS, *columns], conditions)

    def names(self, job: str, unique_id: str | None = None) -> list[str]:
        """The names of all stored alternatives, optionally of one series, in order."""
        path = self._path(job)
        if not DeltaTable.is_deltatable(path):
            return []
        conditions = [] if unique_id is None else [delta.is_text(UNIQUE_ID, unique_id)]
        return sorted(delta.select(opened(path), (SCENARIO,), [SCENARIO], conditions)[SCENARIO].unique())

    def _path(self, job: str) -> str:
        return str(self.workspace.alternatives(job))


def _keep(path: str, table: pd.DataFrame) -> int:
    if not DeltaTable.is_deltatable(path):
        delta.create(path, table)
        return len(table)
    stored, content = opened(path), delta.to_arrow(table)
    delta.refuse_other_types(stored, content.schema)
    fresh = table[~_known(stored, table)]
    if len(fresh):
        rows = delta.to_arrow(fresh)
        condition = delta.matching(_KEYS)
        merge = stored.merge(rows, condition, source_alias="new", target_alias="old", merge_schema=True)
        merge.when_matched_update_all().when_not_matched_insert_all().execute()
    return len(fresh)


def _known(stored: DeltaTable, table: pd.DataFrame) -> np.ndarray:
    """Which rows are stored already with the same forecast, whenever it was made (rows,)."""
    names = [name for name in table.columns if name != CREATED]
    if not set(names) <= {field.name for field in stored.schema().fields}:
        return np.zeros(len(table), dtype=bool)
    cutoffs = pc.field(CUTOFF).isin(list(table[CUTOFF].unique()))
    before = delta.select(stored, _KEYS, names, [cutoffs])
    return np.asarray(pd.MultiIndex.from_frame(table[names]).isin(pd.MultiIndex.from_frame(before)))
