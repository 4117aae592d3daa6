"""Recurrent cells by name: one file each, whose `layer` is the cell run over all time steps.

Every `layer(units, *, activation, sequences, name)` maps (B, T, D) to (B, T, U) with `sequences`, to the last
state (B, U) without.
"""

from collections.abc import Callable
from typing import Any, Final

from forecasting.nn.cells import coupled_lstm, gru, lstm, peephole_lstm, simple

__all__ = ["CELLS"]

CELLS: Final[dict[str, Callable[..., Any]]] = {
    "simple": simple.layer,
    "lstm": lstm.layer,
    "gru": gru.layer,
    "peephole_lstm": peephole_lstm.layer,
    "coupled_lstm": coupled_lstm.layer,
}
