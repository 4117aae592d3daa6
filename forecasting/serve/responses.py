"""Forecasts as the service writes them: plain columns or records, and who made them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from forecasting.bundle.forecasts import Forecasts
from forecasting.serve.slot import Loaded

__all__ = ["columns_of", "origin_of", "plain", "plain_columns", "records_of", "texts"]


def origin_of(model: Loaded) -> dict[str, Any]:
    """Who made a forecast, `baseline` where no network was better, and what its intervals held in the backtest."""
    spec = model.forecaster.spec
    who = {"name": model.name, "version": model.version, "kind": spec.model, "baseline": spec.baseline}
    return who | {"coverage": dict(model.coverage)}


def columns_of(found: Forecasts) -> dict[str, list[Any]]:
    """One entry per series and step: unique_id, ds, cutoff, step and what was forecast; stamps are UTC."""
    return {name: _listed(values) for name, values in found.columns().items()}


def _listed(values: np.ndarray) -> list[Any]:
    return texts(values) if values.dtype.kind == "M" else values.tolist()


def records_of(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """The same, one object per row."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def texts(stamps: np.ndarray) -> list[str]:
    """Stamps in ISO 8601, to the microsecond where whole seconds do not tell them apart."""
    whole = not (stamps.astype("datetime64[us]").astype(np.int64) % 1_000_000).any()
    written: list[str] = np.datetime_as_string(stamps, unit="s" if whole else "us").tolist()
    return written


def plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table as records of texts, numbers and nulls: stamps in ISO 8601, nothing that is no number."""
    return records_of(plain_columns(table))


def plain_columns(table: pd.DataFrame) -> dict[str, list[Any]]:
    """The same as columns."""
    return {str(name): _plain(column) for name, column in table.items()}


def _plain(column: pd.Series) -> list[Any]:
    if pd.api.types.is_datetime64_any_dtype(column):
        return texts(column.to_numpy())
    missing = column.isna()
    if pd.api.types.is_float_dtype(column):
        missing |= ~np.isfinite(column)
    return [None if gone else value for gone, value in zip(missing, column.tolist(), strict=True)]
