"""One whole forecast of made-up readings: what a bundle promises is tried before anybody asks for it."""

from __future__ import annotations

from itertools import cycle, islice
from typing import Final

import numpy as np
import pandas as pd

from forecasting.bundle.forecaster import Forecaster
from forecasting.bundle.spec import Spec
from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.errors import ArtifactError
from forecasting.series.frequency import offset_of

__all__ = ["rehearse"]

_READINGS: Final = 50  # of a series; a longer context is padded
_BEGIN: Final = pd.Timestamp("2024-01-01")


def rehearse(forecaster: Forecaster) -> None:
    """Forecast from a plain history: stamps, calendar, covariates, scaling and all.

    Raises ArtifactError where that fails or gives values that are not finite.
    """
    spec = forecaster.spec
    try:
        found = forecaster.forecast(_history(spec), horizon=None if spec.symbols is None else 1)
    except Exception as error:  # whatever it is, the next request would meet it
        raise ArtifactError(f"it cannot forecast a plain history: {error}") from error
    values = found[[name for name in spec.outputs if pd.api.types.is_numeric_dtype(found[name])]]
    if found.empty or not np.isfinite(values.to_numpy(dtype=np.float64)).all():
        raise ArtifactError("its forecasts of a plain history are not finite")


def _history(spec: Spec) -> pd.DataFrame:
    """A long table of one series, or of all series of a layout, with rows for the covariates known ahead."""
    names = ["rehearsal"] if spec.layout is None else list(spec.layout.place_of)
    read = min(spec.context, _READINGS)
    rows = read + (spec.horizon if spec.features.future else 0)
    stamps = pd.date_range(_BEGIN, periods=rows, freq=offset_of(spec.series.freq), unit="us")
    parts = [_one(spec, name, stamps, read) for name in names]
    return pd.concat(parts, ignore_index=True)


def _one(spec: Spec, name: str, stamps: pd.DatetimeIndex, read: int) -> pd.DataFrame:
    rows = len(stamps)
    columns = {column: _covariate(spec, column, rows) for column in spec.covariates}
    ids = pd.array([name] * rows, dtype="str")
    return pd.DataFrame({UNIQUE_ID: ids, DS: stamps, Y: _target(spec, rows, read), **columns})


def _target(spec: Spec, rows: int, read: int) -> pd.Series:
    if spec.symbols is not None:
        known = spec.symbols.vocabulary.symbols
        return pd.Series(list(islice(cycle(known), rows)), dtype="str").where(np.arange(rows) < read)
    values = np.clip(2 + np.sin(np.arange(rows)), spec.series.lower, spec.series.upper)
    return pd.Series(np.where(np.arange(rows) < read, np.round(values) if spec.series.integer else values, np.nan))


def _covariate(spec: Spec, column: str, rows: int) -> pd.Series:
    labels = spec.features.vocabulary.get(column)
    if labels is None:
        return pd.Series(np.ones(rows))
    return pd.Series([labels[0] if labels else "unknown"] * rows, dtype="str")
