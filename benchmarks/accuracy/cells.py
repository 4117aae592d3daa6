"""The cells of the long-horizon protocol: files, their standardized tables, their test windows."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from benchmarks.harness.homes import data_folder
from forecasting import sources
from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.job import Job
from forecasting.config.series import Series, Window
from forecasting.config.source import FileColumns, FileSource
from forecasting.series.folds import Fold

__all__ = ["CELLS", "Cell", "standard_fold", "standardized"]


class Cell(NamedTuple):
    """One file, its frequency and the numbers of training, validation and test rows."""

    path: str
    freq: str
    rows: tuple[int, int, int]


FILES = {
    "etth1": Cell("ett/ETTh1.csv.gz", "h", (8640, 2880, 2880)),
    "etth2": Cell("ett/ETTh2.csv.gz", "h", (8640, 2880, 2880)),
    "ettm1": Cell("ett/ETTm1.csv.gz", "15min", (34560, 11520, 11520)),
    "ettm2": Cell("ett/ETTm2.csv.gz", "15min", (34560, 11520, 11520)),
    "exchange": Cell("lstnet/exchange_rate_autoformer.csv.gz", "D", (5311, 758, 1519)),
}
HORIZONS = (96, 192, 336, 720)
CELLS = {f"{name}-{horizon}": (cell, horizon) for name, cell in FILES.items() for horizon in HORIZONS}


def standardized(base: Job, cell: Cell, horizon: int) -> tuple[Job, pd.DataFrame]:
    """The job `base` on this cell, and the cell's table on the scale of the training rows."""
    path = str(data_folder() / cell.path)
    job = base.model_copy(
        update={
            "source": FileSource(path=path, columns=FileColumns(layout="wide", ds="date")),
            "series": Series(freq=cell.freq, scale="none"),
            "window": Window(context=base.window.context, horizon=horizon),
        }
    )
    table = sources.read(job).sort_values([UNIQUE_ID, DS], ignore_index=True)
    order = table.groupby(UNIQUE_ID).cumcount()
    table = table[order < sum(cell.rows)]
    learned = table[order[table.index] < cell.rows[0]].groupby(UNIQUE_ID)[Y]
    mean, deviation = (table[UNIQUE_ID].map(values) for values in (learned.mean(), learned.std(ddof=0)))
    return job, table.assign(y=(table[Y] - mean) / deviation).reset_index(drop=True)


def standard_fold(table: pd.DataFrame, cell: Cell, horizon: int) -> Fold:
    """Training rows, validation rows, and every cutoff whose horizon lies in the test rows."""
    stamps = pd.DatetimeIndex(table[DS].unique())
    train, valid, test = cell.rows
    return Fold(
        stamps[train - 1], stamps[train + valid - 1], stamps[train + valid - 1 : train + valid + test - horizon]
    )
