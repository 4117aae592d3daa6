"""Real readings handed out day by day, as a source gives them to a scheduled ingest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pandas as pd

__all__ = ["DAY", "Readings", "hourly_load"]

DAY: Final = pd.Timedelta(days=1)
_STAMP, _VALUE = "Datetime", "AEP_MW"
_AGAIN: Final = DAY  # of what was read before comes once more, as sources do


class Readings:
    """A file that holds what a source would give on a day: the readings since the last look, and the day before."""

    def __init__(self, rows: pd.DataFrame, path: Path) -> None:
        self._rows = rows
        self._path = path
        self._given = pd.Timestamp.min
        os.environ["GATECAST_LOOP_READINGS"] = str(path)

    def give(self, until: pd.Timestamp) -> None:
        """Write the readings up to that stamp."""
        since = self._given if self._given == pd.Timestamp.min else self._given - _AGAIN
        stamps = self._rows[_STAMP]
        self._rows[(stamps > since) & (stamps <= until)].to_csv(self._path, index=False)
        self._given = until


def hourly_load(
    datasets: Path, begin: pd.Timestamp, end: pd.Timestamp, *, shifted: pd.Timestamp | None, share: float
) -> pd.DataFrame:
    """Hourly load of American Electric Power in MW between two stamps, as it was published.

    From `shifted` on it is higher by that share of the mean before.
    """
    rows = pd.read_csv(datasets / "load" / "AEP_hourly.csv.gz", parse_dates=[_STAMP]).sort_values(_STAMP)
    rows = rows[(rows[_STAMP] > begin) & (rows[_STAMP] <= end)].reset_index(drop=True)
    if shifted is not None:
        after = rows[_STAMP] > shifted
        rows.loc[after, _VALUE] += share * rows.loc[~after, _VALUE].mean()
    return rows
