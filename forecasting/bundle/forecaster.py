"""What answers: one protocol for every bundle, and the one function that opens a bundle as what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pandas as pd

from forecasting.bundle.artifact import Bundle, open_bundle
from forecasting.bundle.fast_path import Readings
from forecasting.bundle.forecasts import Forecasts
from forecasting.bundle.generation import Generator
from forecasting.bundle.quantile_forecaster import QuantileForecaster
from forecasting.bundle.spec import Spec
from forecasting.bundle.symbol_forecaster import SymbolForecaster

__all__ = ["Forecaster", "forecaster_of", "open_forecaster"]


class Forecaster(Protocol):
    """A bundle that answers: networks and baselines, of numbers, frames or symbols, over any horizon."""

    @property
    def bundle(self) -> Bundle:
        """What it was opened from."""

    @property
    def spec(self) -> Spec:
        """What it reads and gives."""

    @property
    def generator(self) -> Generator:
        """What goes on from a text; raises ConfigError for a model of numbers."""

    def forecast(
        self,
        history: pd.DataFrame | Readings,
        future: pd.DataFrame | None = None,
        *,
        levels: tuple[int, ...] | None = None,
        horizon: int | None = None,
    ) -> pd.DataFrame:
        """Forecast every series of `history` from its last reading on: unique_id, ds, cutoff, step, `spec.outputs`.

        `history` is a long table `unique_id, ds, y` with the covariates; what is known ahead comes in `future`, or as
        rows of `history` without y. `levels` are per cent of central intervals, by default the configured quantiles.
        `horizon` is the number of steps, by default as trained. Raises DataError that lists all that is wrong with the
        tables, ConfigError where the model cannot go on beyond its horizon.
        """

    def at(self, table: pd.DataFrame, cutoffs: pd.DatetimeIndex, wanted: tuple[float, ...] | None = None) -> Forecasts:
        """Forecast every series at each of `cutoffs` from what was known then; `table` must be clean."""

    def check(self) -> None:
        """Forecast the golden inputs; raises ArtifactError where the result does not fit the spec or is not finite."""


def open_forecaster(directory: Path, *, threads: int = 0) -> Forecaster:
    """Verify the bundle in `directory` and open it as what it is; raises ArtifactError if anything is wrong with it."""
    return forecaster_of(open_bundle(Path(directory), threads=threads))


def forecaster_of(bundle: Bundle) -> Forecaster:
    """The forecaster of an open bundle."""
    return QuantileForecaster(bundle) if bundle.spec.symbols is None else SymbolForecaster(bundle)
