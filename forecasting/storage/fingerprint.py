"""The content address of a table: the data of a run, independent of the order of reading."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

from forecasting.storage.appending import FORECAST

__all__ = ["fingerprint"]


def fingerprint(table: pd.DataFrame, beside: str = "") -> str:
    """SHA-256 of the content of a table, whatever the order of its rows and columns, and of a text `beside` it."""
    names = sorted(table.columns)
    keys = [name for name in FORECAST if name in names]
    if table.duplicated(keys).any():
        keys = [*keys, *(name for name in names if name not in keys)]
    ordered = table.sort_values(keys, ignore_index=True)
    digest = hashlib.sha256()
    for name in names:
        digest.update(f"\x00{name}\x00".encode())
        digest.update(_bytes(ordered[name]))
    digest.update(beside.encode())
    return digest.hexdigest()


def _bytes(column: pd.Series) -> bytes:
    if pd.api.types.is_datetime64_any_dtype(column):
        return column.to_numpy().astype("datetime64[us]").tobytes()
    if pd.api.types.is_numeric_dtype(column):
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan) + 0.0  # -0.0 is 0.0
        return np.where(np.isnan(numbers), np.nan, numbers).tobytes()  # one bit pattern for every NaN
    code, labels = pd.factorize(column)
    return code.astype(np.int64).tobytes() + b"\x00".join(str(label).encode() for label in labels)
