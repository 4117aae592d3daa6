"""One protocol for every bundle, and the one function that opens a bundle as what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pandas as pd

from forecasting.bundle.artifact import Bundle, open_bundle
from forecasting.bundle.cautions import Caution
from forecasting.bundle.fast_path import Readings
from forecasting.bundle.forecasts import Forecasts
from forecasting.bundle.generation import Generator
from forecasting.bundle.quantile_forecaster import QuantileForecaster
from forecasting.bundle.spec import Spec
from forecasting.bundle.symbol_forecaster import SymbolForecaster
from forecasting.series.moments import Cutoffs

__all__ = ["Forecaster", "forecaster_of", "open_forecaster"]


class Forecaster(Protocol):
    """A bundle in use: networks and baselines, of numbers, frames, or symbols, over any horizon."""

    @property
    def bundle(self) -> Bundle:
        """The open bundle behind it."""

    @property
    def spec(self) -> Spec:
        """The model's inputs and outputs."""

    @property
    def generator(self) -> Generator:
        """The generator that continues a text; raises ConfigError for a model of numbers."""

    def forecast(
        self,
        history: pd.DataFrame | Readings,
        future: pd.DataFrame | None = None,
        *,
        levels: tuple[int, ...] | None = None,
        horizon: int | None = None,
    ) -> pd.DataFrame:
        """Forecast every series of `history` from its last reading on: unique_id, ds, cutoff, step, `spec.outputs`.

        `history` is a long table `unique_id, ds, y` with the covariates; values known ahead come in `future`, or as
        rows of `history` without y. `levels` are central intervals in percent, by default the configured quantiles.
        `horizon` is the number of steps, by default as trained. Raises DataError that lists every fault of the tables,
        ConfigError if the model cannot go beyond its horizon.
        """

    def warned(
        self,
        history: pd.DataFrame | Readings,
        future: pd.DataFrame | None = None,
        *,
        levels: tuple[int, ...] | None = None,
        horizon: int | None = None,
    ) -> tuple[pd.DataFrame, tuple[Caution, ...]]:
        """The table of `forecast`, and the warnings about its inputs: short, stale, out of range, unknown, filled."""

    def at(self, table: pd.DataFrame, cutoffs: Cutoffs, wanted: tuple[float, ...] | None = None) -> Forecasts:
        """Forecast every series at each of `cutoffs` from the readings known then; `table` must be clean."""

    def check(self) -> None:
        """Forecast the golden inputs; raises ArtifactError if the result does not fit the spec or is not finite."""


def open_forecaster(directory: Path, *, threads: int = 0) -> Forecaster:
    """Verify the bundle in `directory` and open it as what it is; raises ArtifactError if anything is wrong with it."""
    return forecaster_of(open_bundle(Path(directory), threads=threads))


def forecaster_of(bundle: Bundle) -> Forecaster:
    """The forecaster of an open bundle."""
    return QuantileForecaster(bundle) if bundle.spec.symbols is None else SymbolForecaster(bundle)
