"""The one function that opens a bundle as what it is."""

from __future__ import annotations

from pathlib import Path

from forecasting.bundle.artifact import Bundle, open_bundle
from forecasting.bundle.protocol import Forecaster
from forecasting.bundle.quantile_forecaster import QuantileForecaster
from forecasting.bundle.symbol_forecaster import SymbolForecaster

__all__ = ["Forecaster", "forecaster_of", "open_forecaster"]


def open_forecaster(directory: Path, *, threads: int = 0) -> Forecaster:
    """Verify the bundle in `directory` and open it as what it is; raises ArtifactError if anything is wrong with it."""
    return forecaster_of(open_bundle(Path(directory), threads=threads))


def forecaster_of(bundle: Bundle) -> Forecaster:
    """The forecaster of an open bundle."""
    return QuantileForecaster(bundle) if bundle.spec.symbols is None else SymbolForecaster(bundle)
