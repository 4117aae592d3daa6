"""What the networks are wired with: tensors side by side, dropout where there is any, a linear path, open gates."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from forecasting.nn.layers.highway import Highway, WideHighway

__all__ = ["dropped", "joined", "moved_by_highway", "open_gate"]


def joined(tensors: list[Any], name: str) -> Any:
    """Tensors side by side along their last axis."""
    return keras.layers.Concatenate(axis=-1, name=name)(tensors) if len(tensors) > 1 else tensors[0]


def dropped(rate: float, tensor: Any, name: str) -> Any:
    """The tensor with dropout of that rate, without a layer if it is 0."""
    return keras.layers.Dropout(rate, name=name)(tensor) if rate else tensor


def moved_by_highway(params: Any, arrays: dict[str, Any], past: Any, loc_scale: Any) -> Any:
    """`loc_scale` (B, H, 2), moved by the highway of the normalised context (B, T, D) where the network has one."""
    if not params.highway:
        return loc_scale
    if params.highway_start == "zero":
        return Highway(params.highway, name="highway")([past, loc_scale])
    ahead = [arrays["future"]] if "future" in arrays else []
    learns = params.highway_start == "ridge"
    return WideHighway(params.highway, name="highway", trainable=learns)([past, loc_scale, *ahead])


def open_gate(place: int, gates: int) -> Callable[..., Any]:
    """The initial biases of gates that lie side by side: ones for the gate at `place`, zeros for the others."""

    def initial(shape: tuple[int, ...], dtype: Any = None) -> Any:
        units = shape[0] // gates
        return ops.concatenate([ops.full((units,), float(gate == place), dtype) for gate in range(gates)])

    return initial
