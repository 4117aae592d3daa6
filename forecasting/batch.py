"""Batch forecasts: the live model over every stored series, each forecast kept once as a vintage."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from forecasting.bundle.artifact import verify
from forecasting.bundle.continuation import Continued, Sampling
from forecasting.bundle.forecaster import Forecaster
from forecasting.bundle.symbols import SymbolForecaster
from forecasting.columns import CREATED, DS, MODEL, VERSION, Y
from forecasting.config import Job
from forecasting.errors import DataError
from forecasting.registry import Registry
from forecasting.series.store import Store
from forecasting.series.symbols import split_text, unit_of

__all__ = ["Absent", "Vintage", "continue_text", "forecast", "forecast_live"]


class Vintage(NamedTuple):
    """Forecasts of one run: the table, and how many of its rows had not been stored before."""

    table: pd.DataFrame
    written: int
    model: str
    version: int


class Absent(NamedTuple):
    """No forecasts, and why."""

    reason: str


def forecast_live(store: Store, registry: Registry, job: Job, *, cache: Path) -> Vintage | Absent:
    """The forecasts of the champion; a run that has none, or lacks what must be known ahead, goes on without."""
    if registry.champion(job.name) is None:
        return Absent("nothing is live")
    try:
        return forecast(store, registry, job, cache=cache)
    except DataError as error:
        return Absent(str(error))


def forecast(
    store: Store,
    registry: Registry,
    job: Job,
    *,
    cache: Path,
    model: str = "champion",
    at: datetime | None = None,
    horizon: int | None = None,
) -> Vintage:
    """Forecast every stored series of `job` from its last reading on, or from its last one up to `at`.

    `model` is an alias or a version; `horizon` the number of steps, by default those that it was trained for. The
    forecasts are stored once per (unique_id, ds, cutoff, version).
    """
    live = registry.version(job.name, model)
    bundle = verify(registry.download(job.name, live.version, cache))
    forecaster = Forecaster(bundle) if bundle.spec.symbols is None else SymbolForecaster(bundle)
    history = store.read_observations(job.name)
    table = forecaster.forecast(history if at is None else _as_known_at(history, at, job), horizon=horizon)
    table[MODEL], table[VERSION] = live.model, live.version
    table[CREATED] = pd.Timestamp(datetime.now(UTC)).tz_localize(None)
    return Vintage(table, store.append_forecasts(job.name, table), live.model, live.version)


def continue_text(
    registry: Registry, job: Job, text: str, length: int, sampling: Sampling, *, cache: Path, model: str = "champion"
) -> Continued:
    """What follows a text of the job's symbols; nothing is stored. Raises ArtifactError for a model of numbers."""
    live = registry.version(job.name, model)
    forecaster = SymbolForecaster.load(registry.download(job.name, live.version, cache))
    return forecaster.continuation.extend(split_text(text, unit_of(job)), length, sampling)


def _as_known_at(history: pd.DataFrame, at: datetime, job: Job) -> pd.DataFrame:
    """What was known at `at`: later rows keep only what is known ahead."""
    later = history[DS] > at
    if later.all():
        raise DataError(f"there is no reading at or before {at}; the first one is at {history[DS].min()}")
    if not job.series.future:
        return history[~later]
    hidden = [Y, *(name for name in job.series.past)]
    return history.assign(**{name: history[name].where(~later, np.nan) for name in hidden})
