"""What the networks are wired with: tensors side by side, dropout where there is any, a cycle, a linear path, gates."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from forecasting.errors import ConfigError
from forecasting.nn.layers.cycle import CycleShift, KnownPast
from forecasting.nn.layers.highway import Highway, WideHighway
from forecasting.nn.shapes import Shapes

__all__ = ["dropped", "joined", "moved_by_highway", "open_gate", "with_cycle", "without_cycle"]


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


def without_cycle(params: Any, shapes: Shapes, arrays: dict[str, Any]) -> tuple[Any, Any]:
    """The context (B, T, D) without the learned cycle, and the cycle ahead (B, H, 1); the context and None without one.

    The cycle is 0 before anything is learned. Raises ConfigError where nothing is known ahead.
    """
    past = arrays["past"]
    if not params.cycle:
        return past, None
    if not shapes.future:
        raise ConfigError("a learned cycle needs something known ahead, such as a calendar; leave cycle at 0")
    hidden = keras.layers.Dense(params.cycle, activation="tanh", name="cycle_hidden", dtype="float32")
    cycle = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="cycle", dtype="float32")
    known = KnownPast(shapes.future, mask=shapes.mask, name="known_past")(past)
    taken_off = CycleShift(-1, name="without_cycle")([past, cycle(hidden(known))])
    return taken_off, cycle(hidden(arrays["future"]))


def with_cycle(loc_scale: Any, cycle: Any) -> Any:
    """`loc_scale` (B, H, 2) with the cycle ahead (B, H, 1), if there is one."""
    return loc_scale if cycle is None else CycleShift(1, name="with_cycle")([loc_scale, cycle])


def open_gate(place: int, gates: int) -> Callable[..., Any]:
    """The initial biases of gates that lie side by side: ones for the gate at `place`, zeros for the others."""

    def initial(shape: tuple[int, ...], dtype: Any = None) -> Any:
        units = shape[0] // gates
        return ops.concatenate([ops.full((units,), float(gate == place), dtype) for gate in range(gates)])

    return initial
