"""Rivals: methods of other packages on the same cutoffs. They show what could be reached, and never go live."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
import pandas as pd

from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.job import Job
from forecasting.errors import ConfigError
from forecasting.evaluation import boosting, zero_shot
from forecasting.evaluation.backtest import Origins, find_origins, scored_as
from forecasting.evaluation.gate import Backtested
from forecasting.series.calendar import season_of
from forecasting.series.clean import regular_grid
from forecasting.series.folds import Fold
from forecasting.series.moments import stamps_of

__all__ = ["LEAKY", "RIVALS", "backtest_rivals", "cannot_serve"]

MOST: Final = 2000  # readings that a classical method is fitted on, the last ones
_LONGEST_SEASON: Final = 60  # of exponential smoothing, which estimates a state for every step of it: minutes for 288


def theta(season: int) -> Any:
    """The dynamic optimized theta method (Fiorucci et al. 2016)."""
    from statsforecast.models import DynamicOptimizedTheta

    return DynamicOptimizedTheta(season_length=season)


def ets(season: int) -> Any:
    """Exponential smoothing whose form is chosen by AICc (Hyndman et al. 2008), without a season that is too long."""
    from statsforecast.models import AutoETS

    return AutoETS(season_length=season if season <= _LONGEST_SEASON else 1)


def mstl(season: int) -> Any:
    """Seasons taken off by LOESS, the rest by exponential smoothing, alone if there are none (Bandara et al. 2021)."""
    from statsforecast.models import MSTL

    return MSTL(season_length=season) if season > 1 else ets(season)


_CLASSICAL: Final[dict[str, Callable[[int], Any]]] = {"theta": theta, "ets": ets, "mstl": mstl}
LEAKY: Final = ("fracast",)  # trained on public data, which may hold the very readings that it is judged on
RIVALS: Final = (*_CLASSICAL, "lightgbm", *LEAKY)
_PACKAGES: Final = {
    **dict.fromkeys(_CLASSICAL, ("statsforecast",)),
    "lightgbm": ("mlforecast", "lightgbm"),
    "fracast": ("fracast",),
}


def backtest_rivals(names: Sequence[str], table: pd.DataFrame, job: Job, folds: Sequence[Fold]) -> list[Backtested]:
    """Backtest the named rivals on the cutoffs of a clean table; raises ConfigError where a package is missing."""
    missing = sorted({package for name in names for package in _PACKAGES[name] if find_spec(package) is None})
    if missing:
        extra = "gatecast[rivals]" if set(missing) != {"fracast"} else "fracast"
        raise ConfigError(f"backtest.rivals needs {', '.join(missing)}: install {extra}, or leave rivals out")
    if not names:
        return []
    origins = find_origins(table, job, folds)
    grid = regular_grid(table, job.series.model_copy(update={"gaps": "fill"}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of methods that do without a season, or stop before they have converged
        return [cannot_serve(origins, _forecasts(name, table, grid, job, origins), name, job) for name in names]


def cannot_serve(origins: Origins, values: np.ndarray, name: str, job: Job) -> Backtested:
    """What a model without a bundle forecast (B, H, Q), within the bounds of the job."""
    bounded = np.clip(values, *job.series.bounds)
    scored = scored_as(origins, np.round(bounded) if job.series.integer else bounded, origins.quantiles, name)
    return Backtested(name, scored, latency_ms=float("nan"), size_mb=float("nan"), weights="")


def _forecasts(name: str, table: pd.DataFrame, grid: pd.DataFrame, job: Job, origins: Origins) -> np.ndarray:
    if name == "fracast":
        return zero_shot.fracast(regular_grid(table, job.series.model_copy(update={"gaps": "mask"})), origins)
    if name == "lightgbm":
        return boosting.forecasts(grid, job, origins)
    return _classical(_CLASSICAL[name], grid, job, origins)


def _classical(make: Callable[[int], Any], grid: pd.DataFrame, job: Job, origins: Origins) -> np.ndarray:
    """Quantiles (B, H, Q): each series by itself, fitted once per fold and moved on to every cutoff."""
    values = np.empty((*origins.y.shape, len(origins.quantiles)))
    histories = {name: (rows[DS].to_numpy(), rows[Y].to_numpy(float)) for name, rows in grid.groupby(UNIQUE_ID)}
    fold_of = origins.fold_of
    for name in pd.unique(origins.unique_id):
        stamps, y = histories[name]
        for number, fold in enumerate(origins.folds):
            mine = np.flatnonzero((origins.unique_id == name) & (fold_of == number))
            if not len(mine):
                continue
            (seen,) = stamps_of(fold.at(fold.seen_until), np.array([name], dtype=object))
            model = _fitted(make, y[: stamps.searchsorted(seen, side="right")][-MOST:], season_of(job.series))
            for row in mine:
                known = y[: stamps.searchsorted(origins.cutoff[row], side="right")][-MOST:]
                values[row] = _quantiles(model, known, origins)
    return values


def _fitted(make: Callable[[int], Any], y: np.ndarray, season: int) -> Any:
    """The model of a history; the last reading where there is too little of it for the method."""
    from statsforecast.models import Naive

    read = y[~np.isnan(y)]
    if len(read) > max(2 * season, 10):
        try:
            return make(season).fit(read)
        except Exception:  # noqa: BLE001, S110 (a method that cannot be fitted loses to others, but stops no backtest)
            pass
    return Naive().fit(read if len(read) > 1 else np.zeros(2))


def _quantiles(model: Any, y: np.ndarray, origins: Origins) -> np.ndarray:
    """Quantiles (H, Q) of what follows `y`, by the intervals of the method."""
    levels = {q: round(abs(1 - 2 * q) * 100, 6) for q in origins.quantiles}
    made = model.forward(
        y=y[~np.isnan(y)], h=origins.y.shape[1], level=sorted({level for level in levels.values() if level})
    )
    columns = [made["mean" if not level else f"{'lo' if q < 0.5 else 'hi'}-{level}"] for q, level in levels.items()]
    return np.sort(np.stack(columns, axis=1), axis=1)
