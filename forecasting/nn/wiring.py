"""Wiring of the networks: tensors side by side, optional dropout, gates that start open."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

__all__ = ["dropped", "joined", "open_gate"]


def joined(tensors: list[Any], name: str) -> Any:
    """Tensors side by side along their last axis."""
    return keras.layers.Concatenate(axis=-1, name=name)(tensors) if len(tensors) > 1 else tensors[0]


def dropped(rate: float, tensor: Any, name: str) -> Any:
    """The tensor with dropout of that rate, without a layer if it is 0."""
    return keras.layers.Dropout(rate, name=name)(tensor) if rate else tensor


def open_gate(place: int, gates: int) -> Callable[..., Any]:
    """The initial biases of gates that lie side by side: ones for the gate at `place`, zeros for the others."""

    def initial(shape: tuple[int, ...], dtype: Any = None) -> Any:
        units = shape[0] // gates
        return ops.concatenate([ops.full((units,), float(gate == place), dtype) for gate in range(gates)])

    return initial
