"""The stored tables of one home, by subject: readings, forecasts, and what the monitor says of them."""

from __future__ import annotations

from pathlib import Path

from deltalake import DeltaTable

from forecasting.columns import CUTOFF, STEP, UNIQUE_ID, VERSION
from forecasting.runtime.workspace import Workspace
from forecasting.storage.alternatives import AlternativeTables
from forecasting.storage.compaction import compact, vacuum
from forecasting.storage.forecasts import ForecastTables
from forecasting.storage.judgments import JudgmentTables
from forecasting.storage.keyed import KeyedTables
from forecasting.storage.observations import ObservationTables

__all__ = ["Store"]


class Store:
    """Delta tables under `home`; each write is one commit, all or nothing, and may be repeated."""

    def __init__(self, home: Path) -> None:
        self.workspace = Workspace(home)
        self.observations = ObservationTables(self.workspace)
        self.forecasts = ForecastTables(self.workspace)
        self.alternatives = AlternativeTables(self.workspace)
        self.scores = KeyedTables(self.workspace.scores, (CUTOFF, VERSION, STEP))
        self.verdicts = KeyedTables(self.workspace.verdicts, (VERSION, "until", "verdict"))
        self.judgments = JudgmentTables(self.workspace)
        self.anomalies = KeyedTables(self.workspace.anomalies, (UNIQUE_ID, "start"))
        self.notices = KeyedTables(self.workspace.notices, ("message", "sink"))

    def compact(self, job: str, keep_days: int = 30) -> int:
        """Compact readings, forecasts, alternatives, and judgments, and delete the files that no recent version needs.

        Files that versions of the last `keep_days` days need stay, and so do all rows. Returns the number of rewritten
        files.
        """
        home = self.workspace
        places = (home.observations, home.forecasts, home.alternatives, home.judgments)
        there = [path for path in (str(place(job)) for place in places) if DeltaTable.is_deltatable(path)]
        rewritten = sum(compact(path) for path in there)
        for path in there:
            vacuum(path, keep_days)
        return rewritten
