"""The sizes of one job's arrays, from which a network's inputs are made."""

from typing import Any, NamedTuple

import keras

__all__ = ["Shapes", "inputs"]


class Shapes(NamedTuple):
    """How large each axis is and which inputs the job has.

    `codes` holds the number of categories of every static categorical, code 0 (unknown) included. Channel 0 of
    `past` is the scaled target; where `mask` is set, its last channel is 1 for a reading and 0 for a filled gap.
    """

    context: int  # T
    horizon: int  # H
    past: int  # D
    future: int = 0  # F
    static: int = 0  # S
    codes: tuple[int, ...] = ()  # K cardinalities
    mask: bool = False


def inputs(shapes: Shapes) -> dict[str, Any]:
    """The symbolic inputs: "past" (B, T, D), "future" (B, H, F), "static" (B, S), "codes" (B, K); empty ones absent."""
    sizes: dict[str, tuple[int, ...]] = {
        "past": (shapes.context, shapes.past),
        "future": (shapes.horizon, shapes.future),
        "static": (shapes.static,),
        "codes": (len(shapes.codes),),
    }
    return {
        name: keras.Input(size, name=name, dtype="int32" if name == "codes" else "float32")
        for name, size in sizes.items()
        if size[-1]
    }
