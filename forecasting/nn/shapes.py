"""The sizes of one job's arrays, which determine a network's inputs."""

import math
from typing import Any, NamedTuple

import keras

from forecasting.errors import ConfigError

__all__ = ["Shapes", "inputs"]


class Shapes(NamedTuple):
    """The size of each axis, and the inputs of the job.

    `codes` holds the number of categories of every static categorical, code 0 (unknown) included. Channel 0 of `past`
    is the scaled target; with `mask`, its last channel is 1 for a reading and 0 for a filled gap. With a `grid`, a line
    (X,) or rows and columns (Y, X), every place has a context and static numbers of its own, but covariates known ahead
    are those of the whole grid; static categoricals are for single series. `symbols` is the number of codes, the
    unknown included, for series of symbols; `past` is then 0.
    """

    context: int  # T
    horizon: int  # H
    past: int  # D
    future: int = 0  # F
    static: int = 0  # S
    codes: tuple[int, ...] = ()  # K cardinalities
    mask: bool = False
    grid: tuple[int, ...] = ()
    symbols: int = 0

    @property
    def places(self) -> int:
        """Places of the grid; 1 for a single series."""
        return math.prod(self.grid)


def inputs(shapes: Shapes) -> dict[str, Any]:
    """The symbolic inputs: "past" (B, T, D), "future" (B, H, F), "static" (B, S), "codes" (B, K); empty ones absent.

    On a grid "past" is (B, T, *grid, D) and "static" (B, *grid, S); raises ConfigError for a grid with codes.
    """
    if shapes.grid and shapes.codes:
        raise ConfigError(f"a grid takes no static categoricals, got {len(shapes.codes)}; use static numbers instead")
    sizes: dict[str, tuple[int, ...]] = {
        "past": (shapes.context, *shapes.grid, shapes.past),
        "future": (shapes.horizon, shapes.future),
        "static": (*shapes.grid, shapes.static),
        "codes": (len(shapes.codes),),
    }
    return {
        name: keras.Input(size, name=name, dtype="int32" if name == "codes" else "float32")
        for name, size in sizes.items()
        if size[-1]
    }
