"""Tables of a layout as arrays over time and place, in memory and as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from forecasting.columns import DS, UNIQUE_ID
from forecasting.series.layout import Layout

__all__ = ["Cube", "cube", "write_netcdf", "write_npz"]

_AXES = {1: ("place",), 2: ("row", "column")}


class Cube(NamedTuple):
    """Values (T, *grid, D) of D columns at T stamps; NaN at places without a series, and where a table has no row."""

    values: np.ndarray
    stamps: np.ndarray  # (T,) datetime64[us]
    columns: tuple[str, ...]
    unique_id: np.ndarray  # (*grid), empty without a series


def cube(table: pd.DataFrame, layout: Layout, columns: Sequence[str]) -> Cube:
    """The columns of a table with at most one row per series and stamp."""
    stamps, step = np.unique(table[DS].to_numpy().astype("datetime64[us]"), return_inverse=True)
    place = table[UNIQUE_ID].map(layout.place_of).to_numpy()
    values = np.full((len(stamps), layout.places, len(columns)), np.nan)
    values[step, place] = table[list(columns)].to_numpy(dtype=np.float64)
    names = np.array([name or "" for name in layout.unique_id]).reshape(layout.shape)
    return Cube(values.reshape(len(stamps), *layout.shape, len(columns)), stamps, tuple(columns), names)


def write_npz(content: Cube, quantiles: Sequence[float], path: Path) -> None:
    """`forecast` (time, *grid, quantile), `time`, `quantile` and `unique_id` (*grid)."""
    with path.open("wb") as file:
        np.savez(
            file,
            allow_pickle=False,
            forecast=content.values,
            time=content.stamps,
            quantile=np.asarray(quantiles),
            unique_id=content.unique_id,
        )


def write_netcdf(content: Cube, quantiles: Sequence[float], path: Path) -> None:
    """The same as a NetCDF file with the dimensions time, row and column (or place), and quantile."""
    import xarray as xr

    axes = _AXES[content.unique_id.ndim]
    xr.Dataset(
        {"forecast": (("time", *axes, "quantile"), content.values)},
        {"time": content.stamps, "quantile": np.asarray(quantiles), "unique_id": (axes, content.unique_id)},
    ).to_netcdf(path, engine="h5netcdf")
