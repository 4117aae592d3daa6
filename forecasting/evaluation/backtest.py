"""Rolling origins: every candidate forecasts the same windows and is compared with the actuals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from forecasting.bundle.artifact import open_bundle
from forecasting.bundle.forecasts import QuantileForecasts
from forecasting.bundle.quantile_forecaster import QuantileForecaster
from forecasting.bundle.spec import wanted_quantiles
from forecasting.columns import UNIQUE_ID, Y
from forecasting.config.job import Job
from forecasting.errors import DataError, GatecastError
from forecasting.evaluation.gate import Backtested
from forecasting.evaluation.metrics import METRICS, Scored, value
from forecasting.evaluation.timing import median_ms
from forecasting.series.calendar import season_of
from forecasting.series.clean import regular_grid
from forecasting.series.features import Features
from forecasting.series.folds import Fold, past
from forecasting.series.moments import stamps_of
from forecasting.series.panel import Panel, build
from forecasting.series.scaling import Scaler
from forecasting.series.windows import Windows, at_rows

__all__ = ["Origins", "backtest", "backtester", "check_primary", "find_origins", "score", "scored_as"]


class Origins(NamedTuple):
    """The windows that judge all candidates, and their actuals (B, H), NaN without a reading."""

    unique_id: np.ndarray
    cutoff: np.ndarray
    y: np.ndarray
    scale: np.ndarray  # (B,) mean absolute seasonal difference of the series before the first cutoff
    squared_scale: np.ndarray  # (B,) its mean square
    folds: tuple[Fold, ...]
    quantiles: tuple[float, ...]  # of every candidate's forecast

    @property
    def fold_of(self) -> np.ndarray:
        """The fold of every window (B,)."""
        first = [stamps_of(fold.moments[0], self.unique_id) for fold in self.folds]
        of: np.ndarray = np.sum([self.cutoff >= begin for begin in first], axis=0) - 1
        return of

    @property
    def keys(self) -> pd.MultiIndex:
        """Series and cutoff of every window."""
        return pd.MultiIndex.from_arrays([self.unique_id, self.cutoff])


def find_origins(table: pd.DataFrame, job: Job, folds: Sequence[Fold]) -> Origins:
    """Every series at every cutoff with enough readings in its context and at least one in its horizon.

    A series that ends within the horizon of a cutoff is not judged there, and a filled gap (`gaps: fill`) is not an
    actual. `table` must be clean. Raises DataError if no window is left.
    """
    grid = regular_grid(table, job.series.model_copy(update={"gaps": "mask"}))
    features = Features(freq=job.series.freq, mask=True)
    panel = build(grid, features, Scaler(), context=job.window.context, every_row=True)
    rows = [_scorable(panel, panel.rows_at(cutoff), job) for fold in folds for cutoff in fold.moments]
    windows = at_rows(panel, np.concatenate(rows), context=job.window.context, horizon=job.window.horizon)
    if not len(windows):
        raise DataError(
            f"no window can be scored: at none of the {sum(len(fold.cutoffs) for fold in folds)} cutoffs does a series"
            f" have {job.window.min_observed:.0%} of its context of {job.window.context} steps and a reading after it"
        )
    return _origins(windows, grid, job, tuple(folds))


def check_primary(table: pd.DataFrame, job: Job, folds: Sequence[Fold]) -> None:
    """Raise DataError if `gate.primary` has no value on these actuals, not even for a forecast without any error.

    So it is where it divides by the size of the actuals and all of them are 0, or by how much they changed before.
    """
    origins = find_origins(table, job, folds)
    scored = scored_as(origins, np.nan_to_num(origins.y)[..., None], (0.5,), "perfect")
    if np.isfinite(value(scored, METRICS[job.gate.primary])):
        return
    zero = "all actuals of the backtest are 0" if not np.nan_to_num(origins.y).any() else "no series changes before it"
    raise DataError(
        f"{job.gate.primary} cannot be measured from {scored.cutoff.min()} on: {zero}; set gate.primary: mae, end the"
        " data earlier with series.end, or widen backtest.windows"
    )


def score(origins: Origins, forecasts: Sequence[QuantileForecasts], name: str) -> Scored:
    """Bring a candidate's forecasts into the order of the origins; raises GatecastError if any is missing."""
    horizon = origins.y.shape[1]
    if forecasts[0].values.shape[1] < horizon:
        raise GatecastError(
            f"{name} forecasts {forecasts[0].values.shape[1]} steps ahead, but the job needs {horizon}: they cannot be"
            " compared; give the job with the new horizon a new name"
        )
    keys = pd.MultiIndex.from_arrays(
        [np.concatenate([f.unique_id for f in forecasts]), np.concatenate([f.cutoff for f in forecasts])]
    )
    order = keys.get_indexer(origins.keys)
    if (order < 0).any():
        first = origins.keys[int(np.argmin(order))]
        raise GatecastError(f"{name} made no forecast for {(order < 0).sum()} window(s), the first is {first}")
    values = np.concatenate([f.values[:, :horizon] for f in forecasts])[order]
    return scored_as(origins, values, forecasts[0].quantiles, name)


def scored_as(origins: Origins, values: np.ndarray, quantiles: tuple[float, ...], name: str) -> Scored:
    """What a model forecast (B, H, Q) at the origins, in their order."""
    return Scored(
        model=name,
        unique_id=origins.unique_id.astype(str),
        cutoff=origins.cutoff,
        y=origins.y,
        forecast=values,
        quantiles=quantiles,
        scale=origins.scale,
        squared_scale=origins.squared_scale,
    )


def backtester(table: pd.DataFrame, job: Job, folds: Sequence[Fold]) -> Callable[[Sequence[Path], str], Backtested]:
    """The function that backtests a model on every window of a clean table; raises DataError if no window can be
    scored."""
    origins = find_origins(table, job, folds)
    return lambda bundles, name: backtest(table, origins, bundles, name)


def backtest(table: pd.DataFrame, origins: Origins, bundles: Sequence[Path], name: str) -> Backtested:
    """Backtest one model: the bundle of each fold at that fold's cutoffs, with its latency, size, and weights.

    A single bundle serves all folds. The recorded weights are those of the last one, which would go live.
    """
    opened = [QuantileForecaster(open_bundle(path)) for path in bundles]
    forecasters = opened * len(origins.folds) if len(opened) == 1 else opened
    forecasts = [
        forecaster.at(table, fold.moments, origins.quantiles)
        for forecaster, fold in zip(forecasters, origins.folds, strict=True)
    ]
    latest = forecasters[-1].bundle
    return Backtested(
        name=name,
        scored=score(origins, forecasts, name),
        latency_ms=latency(forecasters[-1]),
        size_mb=latest.manifest.size_mb,
        weights=latest.manifest.weights,
    )


def latency(forecaster: QuantileForecaster, repeats: int = 21) -> float:
    """Milliseconds that the engine and its calibration take for one window, median of `repeats`."""
    batch = {name: values[:1] for name, values in forecaster.bundle.golden.items()}
    predictor, calibration, wanted = forecaster.bundle.predictor, forecaster.bundle.calibration, forecaster.spec.wanted
    return median_ms(lambda: calibration.apply(predictor.apart(predictor.quantiles(batch)), wanted), repeats)


def _scorable(panel: Panel, rows: np.ndarray, job: Job) -> np.ndarray:
    context, horizon = job.window.context, job.window.horizon
    rows = rows[(rows >= panel.offsets[:-1] + context - 1) & (rows + horizon < panel.offsets[1:])]
    real = np.concatenate([[0], np.cumsum(~np.isnan(panel.target))])
    enough = (real[rows + 1] - real[rows + 1 - context]) / context >= job.window.min_observed
    good: np.ndarray = rows[enough & (real[rows + 1 + horizon] > real[rows + 1])]
    return good


def _origins(windows: Windows, grid: pd.DataFrame, job: Job, folds: tuple[Fold, ...]) -> Origins:
    rows = windows.rows(np.arange(len(windows)))
    series = windows.panel.series_of(rows)
    unique_id = windows.panel.unique_id[series]
    in_grid = rows - (job.window.context - 1) * (series + 1)  # the panel pads every series, and holds float32
    scales = _seasonal_scales(past(grid, folds[0].moments[0]), season_of(job.series))
    of_window = scales.reindex(unique_id)
    return Origins(
        unique_id,
        windows.panel.stamps[rows],
        grid[Y].to_numpy()[in_grid[:, None] + np.arange(1, job.window.horizon + 1)],
        of_window["absolute"].to_numpy(),
        of_window["squared"].to_numpy(),
        folds,
        wanted_quantiles(job),
    )


def _seasonal_scales(grid: pd.DataFrame, season: int) -> pd.DataFrame:
    """Mean absolute and mean squared difference to one season before, per series."""
    change = grid[Y] - grid.groupby(UNIQUE_ID)[Y].shift(season)
    return pd.DataFrame({"absolute": change.abs(), "squared": change**2}).groupby(grid[UNIQUE_ID]).mean()
