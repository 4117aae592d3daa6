"""Forecasts of many windows: arrays that become a table on demand."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd

from forecasting.columns import (
    CUTOFF,
    DS,
    PROBABILITY,
    STEP,
    SYMBOL,
    UNIQUE_ID,
    UNKNOWN_READ,
    quantile_column,
)

__all__ = ["Forecasts", "QuantileForecasts", "SymbolForecasts"]


class Forecasts(Protocol):
    """Forecasts of B windows over H steps."""

    @property
    def ds(self) -> np.ndarray:
        """(B, H) the stamps that are forecast."""

    def columns(self) -> dict[str, np.ndarray]:
        """One entry (B * H,) per window and step: unique_id, ds, cutoff, step, and the forecast."""

    def table(self) -> pd.DataFrame:
        """The same as a long table."""


class QuantileForecasts(NamedTuple):
    """Quantiles (B, H, Q) in units of the target."""

    unique_id: np.ndarray  # (B,)
    cutoff: np.ndarray  # (B,)
    ds: np.ndarray  # (B, H)
    values: np.ndarray
    quantiles: tuple[float, ...]

    def columns(self) -> dict[str, np.ndarray]:
        """unique_id, ds, cutoff, step and one column per quantile."""
        values = {quantile_column(q): self.values[:, :, i].ravel() for i, q in enumerate(self.quantiles)}
        return {**_keys(self.unique_id, self.cutoff, self.ds), **values}

    def table(self) -> pd.DataFrame:
        """The columns as a long table."""
        return pd.DataFrame(self.columns())

    def until(self, horizon: int) -> QuantileForecasts:
        """The first steps only."""
        return self._replace(ds=self.ds[:, :horizon], values=self.values[:, :horizon])


class SymbolForecasts(NamedTuple):
    """Symbols (B, H), the probability (B, H) of each given all before it, and the count (B,) of unknown ones read."""

    unique_id: np.ndarray  # (B,)
    cutoff: np.ndarray  # (B,)
    ds: np.ndarray  # (B, H)
    symbols: np.ndarray
    probability: np.ndarray
    unknown: np.ndarray

    def columns(self) -> dict[str, np.ndarray]:
        """unique_id, ds, cutoff, step, symbol, probability, unknown."""
        return {
            **_keys(self.unique_id, self.cutoff, self.ds),
            SYMBOL: self.symbols.ravel(),
            PROBABILITY: self.probability.astype(np.float64).ravel(),
            UNKNOWN_READ: np.repeat(self.unknown, self.ds.shape[1]),
        }

    def table(self) -> pd.DataFrame:
        """The columns as a long table."""
        return pd.DataFrame(self.columns()).astype({UNIQUE_ID: "str", SYMBOL: "str"})


def _keys(unique_id: np.ndarray, cutoff: np.ndarray, ds: np.ndarray) -> dict[str, np.ndarray]:
    windows, horizon = ds.shape
    return {
        UNIQUE_ID: np.repeat(unique_id, horizon),
        DS: ds.ravel(),
        CUTOFF: np.repeat(cutoff, horizon),
        STEP: np.tile(np.arange(1, horizon + 1), windows),
    }
