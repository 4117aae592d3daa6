"""The same year without the loop: models of the first day that forecast every day and are never touched again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from forecasting.bundle.artifact import Origin, open_bundle
from forecasting.bundle.assemble import recalibrate
from forecasting.bundle.forecaster import open_forecaster
from forecasting.columns import CREATED, CUTOFF, DS, STEP, UNIQUE_ID, VERSION, Y, quantile_columns
from forecasting.config.job import Job
from forecasting.evaluation.judging import fit_baselines
from forecasting.monitor.live import parts, scores
from forecasting.series.clean import clean
from forecasting.storage.snapshot import Snapshot

__all__ = ["baseline_of", "figures", "first_made", "forecasts_of", "joined"]


def baseline_of(name: str, job: Job, data: Snapshot, folder: Path) -> Path:
    """A baseline as it would have gone live on the first day, calibrated like the network."""
    fold = data.folds[-1]
    fitted = next(e for e in fit_baselines(data.table, job, [fold], folder, origin=Origin()) if e.name == name)
    return recalibrate(open_bundle(fitted.bundles[0]), data.table, fold.fit_until, folder / f"{name}-calibrated")


def forecasts_of(bundle: Path, readings: pd.DataFrame, job: Job, cutoffs: pd.DatetimeIndex) -> pd.DataFrame:
    """What that bundle forecasts at every cutoff from what was known then."""
    made = open_forecaster(bundle).at(clean(readings, job.series).table, cutoffs).table()
    return made.assign(**{VERSION: 1})


def first_made(vintages: pd.DataFrame) -> pd.DataFrame:
    """Of every date and cutoff the forecast that was made first: what its readers saw."""
    return vintages.sort_values(CREATED).drop_duplicates([UNIQUE_ID, DS, CUTOFF], ignore_index=True)


def joined(made: pd.DataFrame, readings: pd.DataFrame) -> pd.DataFrame:
    """The parts of every metric of forecasts whose reading has come."""
    names = quantile_columns(made.columns)
    came = readings[[UNIQUE_ID, DS, Y]].dropna(subset=[Y])
    return parts(made[[UNIQUE_ID, DS, CUTOFF, STEP, VERSION, *names]].merge(came, on=[UNIQUE_ID, DS]), names)


def figures(rows: pd.DataFrame) -> dict[str, float]:
    """WQL, MAE and coverage of all rows; NaN where there is none."""
    if rows.empty:
        return {"wql": float("nan"), "mae": float("nan"), "coverage": float("nan"), "count": 0}
    found = scores(rows).iloc[0]
    return {name: float(np.round(found[name], 5)) for name in ("wql", "mae", "coverage", "count")}
