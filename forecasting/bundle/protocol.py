"""One protocol for every bundle."""

from __future__ import annotations

from abc import ABC, abstractmethod

import pandas as pd

from forecasting.bundle.artifact import Bundle
from forecasting.bundle.cautions import Caution
from forecasting.bundle.fast_path import Readings
from forecasting.bundle.forecasts import Forecasts
from forecasting.bundle.generation import Generator
from forecasting.bundle.spec import Spec
from forecasting.series.moments import Cutoffs

__all__ = ["Forecaster"]


class Forecaster(ABC):
    """A bundle in use: networks and baselines, of numbers, frames, or symbols, over any horizon."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    @property
    def spec(self) -> Spec:
        """The model's inputs and outputs."""
        return self.bundle.spec

    @property
    @abstractmethod
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
        ConfigError if the model cannot go beyond its horizon, or has no levels or values known ahead.
        """
        return self.warned(history, future, levels=levels, horizon=horizon)[0]

    @abstractmethod
    def warned(
        self,
        history: pd.DataFrame | Readings,
        future: pd.DataFrame | None = None,
        *,
        levels: tuple[int, ...] | None = None,
        horizon: int | None = None,
    ) -> tuple[pd.DataFrame, tuple[Caution, ...]]:
        """The table of `forecast`, and the warnings about its inputs: short, stale, out of range, unknown, filled."""

    @abstractmethod
    def at(self, table: pd.DataFrame, cutoffs: Cutoffs, wanted: tuple[float, ...] | None = None) -> Forecasts:
        """Forecast every series at each of `cutoffs` from the readings known then; `table` must be clean."""

    @abstractmethod
    def check(self) -> None:
        """Forecast the golden inputs; raises ArtifactError if the result does not fit the spec or is not finite."""
