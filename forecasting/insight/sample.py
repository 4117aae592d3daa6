"""The live model of a job, and some of its stored readings as windows."""

from __future__ import annotations

import difflib
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from forecasting.bundle.forecaster import open_forecaster
from forecasting.bundle.protocol import Forecaster
from forecasting.bundle.quantile_forecaster import QuantileForecaster
from forecasting.bundle.spec import Spec
from forecasting.columns import UNIQUE_ID
from forecasting.config.series import Window
from forecasting.errors import ConfigError, DataError
from forecasting.lifecycle.home import Home
from forecasting.series.clean import clean, regular_grid
from forecasting.series.panel import build
from forecasting.series.windows import Windows, evenly, slide

__all__ = ["Live", "differentiable", "open_live", "readings_of", "some_readings", "windows_of"]

_SERIES: Final = 32  # whose windows are looked at


class Live(NamedTuple):
    """A registered version in use."""

    forecaster: Forecaster
    version: int


def open_live(home: Home, job: str, model: str = "champion") -> Live:
    """Open the bundle of an alias or a version."""
    found = home.registry.versions.get(job, model)
    return Live(open_forecaster(home.registry.cache.download(job, found.version)), found.version)


def differentiable(forecaster: Forecaster, name: str) -> QuantileForecaster:
    """The forecaster, if it reads numbers; raises ConfigError for a model of symbols."""
    if not isinstance(forecaster, QuantileForecaster):
        raise ConfigError(f"{name} reads symbols, which have no derivatives; look at its cells instead")
    return forecaster


def some_readings(home: Home, job: str, spec: Spec) -> pd.DataFrame:
    """The clean stored readings of at most 32 series, evenly spread; of all series that a model reads together."""
    names = home.store.observations.series(job)
    if spec.layout is not None or len(names) <= _SERIES:
        stored = home.store.observations.read(job)
    else:
        chosen = [names[place] for place in evenly(len(names), _SERIES)]
        stored = pd.concat([home.store.observations.read(job, unique_id=name) for name in chosen], ignore_index=True)
    return clean(stored, spec.series.model_copy(update={"min_length": 1})).table


def readings_of(home: Home, job: str, spec: Spec, unique_id: str) -> pd.DataFrame:
    """The stored rows of one series, or of all if a model reads them together.

    Raises DataError, with names that are near, for a series that is not stored.
    """
    names = home.store.observations.series(job)
    if unique_id not in names:
        near = difflib.get_close_matches(unique_id, names, n=3) or names[:3]
        raise DataError(f"{job} has no series {unique_id!r} among its {len(names)}; there are {', '.join(near)}, …")
    return home.store.observations.read(job, unique_id=None if spec.layout is not None else unique_id)


def windows_of(forecaster: QuantileForecaster, table: pd.DataFrame) -> Windows:
    """Every window of a clean table; the last one of each series where none is long enough."""
    spec, chosen = forecaster.spec, _some_series(table, forecaster.spec)
    panel = build(regular_grid(chosen, spec.series), spec.features, spec.scaler, context=spec.context)
    window = Window(context=spec.context, horizon=spec.horizon, min_observed=1 / spec.context)
    windows = slide(panel, window, max_gap=spec.series.max_gap)
    return windows if len(windows) else forecaster.latest(chosen).windows


def _some_series(table: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    names = np.array(sorted(table[UNIQUE_ID].unique()), dtype=object)
    if spec.layout is not None or len(names) <= _SERIES:
        return table
    return table[table[UNIQUE_ID].isin(names[evenly(len(names), _SERIES)])].reset_index(drop=True)
