"""Grids and lines: which series stands where."""

from __future__ import annotations

import math
import re
from functools import cached_property

import pandas as pd
from pydantic import BaseModel, ConfigDict

from forecasting.config.series import Series
from forecasting.errors import DataError

__all__ = ["Layout", "cell_names", "learn_layout"]

_CELL = re.compile(r"r(\d+)c(\d+)")
_SHOWN = 10  # names in a message


class Layout(BaseModel):
    """A grid (Y, X) or a line (X,), and the series at each of its places in raster order; None where there is none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: tuple[int, ...]
    unique_id: tuple[str | None, ...]

    @property
    def places(self) -> int:
        """How many places there are, empty ones included."""
        return math.prod(self.shape)

    @cached_property
    def place_of(self) -> dict[str, int]:
        """The place of each series."""
        return {name: place for place, name in enumerate(self.unique_id) if name is not None}


def cell_names(rows: int, columns: int) -> list[str]:
    """The series of a grid's cells in raster order: r03c117 is row 3, column 117, counted from 0."""
    high, wide = len(str(rows - 1)), len(str(columns - 1))
    return [f"r{row:0{high}d}c{column:0{wide}d}" for row in range(rows) for column in range(columns)]


def learn_layout(table: pd.DataFrame, series: Series) -> Layout | None:
    """Where the series of a table stand; none without `series.layout`.

    A grid reads it from their names; a line stands in the order of `series.places`, or of the names. Raises DataError
    that lists names that are no cells, and series that `series.places` does not name, or names without a series.
    """
    if series.layout == "none":
        return None
    names = sorted(table["unique_id"].unique())
    if series.layout == "line":
        return _line(names, series.places)
    found = {name: _CELL.fullmatch(name) for name in names}
    wrong = [name for name, match in found.items() if match is None]
    if wrong:
        raise DataError(
            f"series.layout is grid, but {len(wrong)} series are not called like a cell, such as r03c117:",
            wrong[:_SHOWN],
        )
    cells = {(int(match[1]), int(match[2])): name for name, match in found.items() if match is not None}
    if len(cells) < len(names):
        raise DataError(f"{len(names)} series have the names of {len(cells)} cells; give each cell one name")
    rows, columns = (max(axis) + 1 for axis in zip(*cells, strict=True))
    raster = tuple(cells.get((row, column)) for row in range(rows) for column in range(columns))
    return Layout(shape=(rows, columns), unique_id=raster)


def _line(names: list[str], places: tuple[str, ...]) -> Layout:
    order = places or tuple(names)
    strangers = [f"{name} has no place" for name in names if name not in order]
    if strangers:
        raise DataError(
            f"series.places names {len(order)} series, the table has {len(names)}; name every one:", strangers[:_SHOWN]
        )
    known = set(names)
    return Layout(shape=(len(order),), unique_id=tuple(name if name in known else None for name in order))
