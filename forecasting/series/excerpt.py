"""The readings that are drawn beside a forecast: some horizons before its cutoff, with a hole in every long pause."""

from __future__ import annotations

from typing import Final

import pandas as pd

from forecasting.columns import CUTOFF, DS, Y

__all__ = ["around", "broken_at_gaps", "latest"]

_TAIL: Final = 6  # horizons of history before the cutoff
_FEWEST, _MOST = 60, 1500  # readings before the cutoff
_GAP: Final = 4  # a pause of more steps than this breaks the line; a weekend of daily readings does not


def around(readings: pd.DataFrame, forecast: pd.DataFrame) -> pd.DataFrame:
    """The readings of one series, in order of time, from some horizons before the cutoff to the end of its forecast."""
    known = readings[readings[DS] <= forecast[DS].max()]
    before = int((known[DS] <= forecast[CUTOFF].iloc[0]).sum())
    shown: pd.DataFrame = known.iloc[max(before - min(max(_TAIL * len(forecast), _FEWEST), _MOST), 0) :]
    return shown


def latest(readings: pd.DataFrame) -> pd.DataFrame:
    """The last readings of one series, where there is no forecast of it."""
    return readings.tail(_MOST)


def broken_at_gaps(readings: pd.DataFrame) -> pd.DataFrame:
    """`ds` and `y` with an empty row in every long pause, so that no line pretends to know what happened there."""
    pauses = readings[DS].diff()
    after = readings[pauses > _GAP * pauses.median()]
    holes = pd.DataFrame({DS: after[DS] - pauses.median(), Y: float("nan")})
    return pd.concat([readings[[DS, Y]], holes]).sort_values(DS, kind="stable")
