"""Recurrent cells by name: one file each, whose `layer` is the cell run over all time steps.

Every `layer(units, *, activation, sequences, states, name)` maps (B, T, D) to (B, T, U) with `sequences`, to the last
state (B, U) without; with `states` the last states follow, h (B, U) first. Such a layer can start from states given as
`initial_state=[…]`. A cell with settings in `forecasting.config.cells` takes them as `options`. Convolutional cells
take the `rank` of a grid as well, read (B, T, *grid, D) and keep a frame (B, *grid, U).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

from forecasting.config.cells import CONVOLUTIONAL, CellOptions
from forecasting.nn.cells import (
    conv_lstm,
    conv_lstm_peephole,
    coupled_lstm,
    gru,
    lstm,
    peephole_lstm,
    simple,
)

__all__ = ["CELLS", "CellParams", "layer"]

CELLS: Final[dict[str, Callable[..., Any]]] = {
    "simple": simple.layer,
    "lstm": lstm.layer,
    "gru": gru.layer,
    "peephole_lstm": peephole_lstm.layer,
    "coupled_lstm": coupled_lstm.layer,
    "conv_lstm": conv_lstm.layer,
    "conv_lstm_peephole": conv_lstm_peephole.layer,
}


class CellParams(Protocol):
    """The settings of a network's cells."""

    @property
    def cell(self) -> str:
        """A name of `CELLS`."""

    @property
    def activation(self) -> str:
        """Of the state; cuDNN runs tanh only."""

    @property
    def cell_options(self) -> CellOptions | None:
        """Settings of the cell, None for its defaults."""


def layer(params: CellParams, units: int, *, sequences: bool, states: bool = False, name: str, rank: int = 0) -> Any:
    """The chosen cell as a layer; a convolutional one over a grid of this rank."""
    make = CELLS[params.cell]
    if params.cell_options is not None:
        make = partial(make, options=params.cell_options)
    if params.cell in CONVOLUTIONAL:
        make = partial(make, rank=rank)
    return make(units, activation=params.activation, sequences=sequences, states=states, name=name)
