"""Readings that are sent one by one into whole steps: each step is gathered from all of its readings, late ones too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa

from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.series import Series
from forecasting.errors import DataError
from forecasting.runtime.files import write_text
from forecasting.series.aggregate import gather, open_readings, step_ends
from forecasting.series.clean import clean
from forecasting.series.frequency import offset_of
from forecasting.storage.spool import Spool, tables

__all__ = ["LATE", "Floors", "closed_until", "drop_closed", "kept_readings", "newest_steps", "whole_steps"]

_NEVER: Final = np.datetime64("NaT", "us")
LATE: Final = 24  # steps that a reading may come behind the newest one of its series


class Floors:
    """The last step of each series that the source has filled: readings that are sent begin behind it.

    They are on disk before the first reading of a series, since afterwards nobody could tell its steps apart.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "floors.json"
        content = json.loads(self._path.read_text(encoding="utf-8")) if self._path.exists() else {}
        self._steps = {name: np.datetime64(stamp, "us") for name, stamp in content.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._steps

    def get(self, name: str) -> np.datetime64:
        """The step; NaT where the source has none."""
        return self._steps.get(name, _NEVER)

    def put(self, steps: dict[str, np.datetime64]) -> None:
        """Keep those of series that are new."""
        self._steps |= steps
        write_text(self._path, json.dumps({name: str(stamp) for name, stamp in self._steps.items()}))


def kept_readings(paths: list[Path]) -> pd.DataFrame | None:
    """All readings in files of a spool in order, of two with one stamp the later; none where there are no files."""
    found = [table for path in paths for table in tables(path)]
    if not found:
        return None
    rows: pd.DataFrame = pa.concat_tables(found, promote_options="default").to_pandas()
    once = rows.drop_duplicates([UNIQUE_ID, DS], keep="last")
    return once.sort_values([UNIQUE_ID, DS], kind="stable", ignore_index=True)


def whole_steps(readings: pd.DataFrame, series: Series) -> pd.DataFrame | None:
    """Every step that is over, gathered from all of its readings and cleaned; none where no step is over yet."""
    y = readings[Y]
    if series.aggregate not in ("sum", "count"):  # whose bounds are those of the steps
        lower, upper = series.bounds
        y = y.where((y >= lower) & (y <= upper))
    rows = readings.assign(**{Y: y.mask(open_readings(readings, series))})
    try:
        return clean(gather(rows, series, raw=True), series).table
    except DataError:  # nothing is left
        return None


def newest_steps(readings: pd.DataFrame, freq: str) -> dict[str, np.datetime64]:
    """The step of the newest reading of each series."""
    known = readings[readings[Y].notna()]
    newest = pd.Series(step_ends(known[DS], freq)).groupby(known[UNIQUE_ID].to_numpy()).max()
    return dict(zip(map(str, newest.index), newest.to_numpy(), strict=True))


def closed_until(newest: np.datetime64, freq: str) -> np.datetime64:
    """The last step that no reading can join any more."""
    return np.datetime64(pd.Timestamp(newest) - LATE * offset_of(freq), "us")


def drop_closed(spool: Spool, paths: list[Path], readings: pd.DataFrame, freq: str) -> None:
    """Keep only readings of steps that late ones may join, in one file in the place of all."""
    until = {name: closed_until(newest, freq) for name, newest in newest_steps(readings, freq).items()}
    limits = np.array([until.get(name, _NEVER) for name in readings[UNIQUE_ID]], dtype="datetime64[us]")
    open_still = step_ends(readings[DS], freq) > limits  # of series without readings: none
    spool.replace(paths, readings[open_still].reset_index(drop=True))
