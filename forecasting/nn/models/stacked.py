"""Recurrent layers on top of each other, each optionally bidirectional, decoded to all horizon steps at once."""

from typing import Any

import keras

from forecasting.config.cells import CONVOLUTIONAL
from forecasting.config.network import Stacked
from forecasting.nn import cells
from forecasting.nn.layers.code_embedding import CodeEmbedding
from forecasting.nn.layers.reversible_norm import LocationScale, Normalise
from forecasting.nn.shapes import Shapes, inputs
from forecasting.nn.wiring import dropped, joined, moved_by_highway, with_cycle, without_cycle

__all__ = ["build"]


def build(params: Stacked, shapes: Shapes, head: Any) -> keras.Model:
    """The network: context → recurrent layers → one state → a vector per horizon step → head.

    On a grid every place has a state, and the M = H * places vectors come step by step, each in the order of the grid.
    """
    arrays = inputs(shapes)
    past, cycle = without_cycle(params, shapes, arrays)
    loc_scale = LocationScale(params.normalise, mask=shapes.mask, name="loc_scale")(past)  # (B, *grid, 2)
    past = Normalise(name="normalise")([past, loc_scale])  # (B, T, *grid, D)
    if shapes.grid:
        loc_scale = keras.layers.Reshape((2 * shapes.places,), name="places", dtype="float32")(loc_scale)
    # (B, H, 2 * places)
    loc_scale = keras.layers.RepeatVector(shapes.horizon, name="loc_scales", dtype="float32")(loc_scale)
    if shapes.grid:
        loc_scale = keras.layers.Reshape((-1, 2), name="steps_and_places", dtype="float32")(loc_scale)  # (B, M, 2)
    loc_scale = with_cycle(moved_by_highway(params, arrays, past, loc_scale), cycle)
    state = _encode(params, shapes, past)
    features = _decode(params, shapes, arrays, state)
    return keras.Model(arrays, head([features, loc_scale]), name="stacked")


def _encode(params: Stacked, shapes: Shapes, past: Any) -> Any:
    """The context (B, T, D) as one state (B, U); on a grid, (B, T, *grid, D) as (B, *grid, U)."""
    both = params.bidirectional
    directions = (both,) * len(params.units) if isinstance(both, bool) else both
    line = params.cell in CONVOLUTIONAL and not shapes.grid  # the channels stand side by side
    hidden = keras.layers.Reshape((shapes.context, shapes.past, 1), name="line")(past) if line else past
    for index, (units, bidirectional) in enumerate(zip(params.units, directions, strict=True), start=1):
        sequences, name = index < len(params.units), f"{params.cell}_{index}"
        layer = cells.layer(params, units, sequences=sequences, name=name, rank=len(shapes.grid) or 1)
        hidden = (keras.layers.Bidirectional(layer, name=f"bidirectional_{index}") if bidirectional else layer)(hidden)
        hidden = dropped(params.dropout, hidden, f"dropout_{index}")
    return keras.layers.Reshape((-1,), name="state")(hidden) if line else hidden


def _decode(params: Stacked, shapes: Shapes, arrays: dict[str, Any], state: Any) -> Any:
    """The state, with the static inputs of the series, as features (B, M, W); each step sees its own covariates."""
    known = [state]
    if shapes.static:
        known.append(arrays["static"])
    if shapes.codes:
        known.append(CodeEmbedding(shapes.codes, params.embedding, name="embedding")(arrays["codes"]))
    features = _steps(params, shapes, joined(known, "summary"))
    if shapes.future:
        ahead = arrays["future"]
        if shapes.grid:
            ahead = keras.layers.UpSampling1D(shapes.places, name="everywhere")(ahead)
        features = joined([features, ahead], "known_ahead")
    widths = params.decoder if shapes.future else params.decoder[1:]
    for index, size in enumerate(widths, start=1):
        features = keras.layers.Dense(size, activation="relu", name=f"decoder_{index}")(features)
        features = dropped(params.dropout, features, f"dropout_decoder_{index}")
    return features


def _steps(params: Stacked, shapes: Shapes, summary: Any) -> Any:
    """(B, U) to (B, H, W), or (B, *grid, U) to (B, H * places, W), all places of the first step first."""
    width = params.decoder[0]
    # a separate weight for every (step, feature) gives the steps their identity
    steps = keras.layers.Dense(shapes.horizon * width, activation="relu", name="steps")(summary)
    if shapes.grid:
        steps = keras.layers.Reshape((shapes.places, shapes.horizon, width), name="places_first")(steps)
        steps = keras.layers.Permute((2, 1, 3), name="steps_first")(steps)
    features = keras.layers.Reshape((shapes.horizon * shapes.places, width), name="horizon")(steps)  # (B, M, W)
    return dropped(params.dropout, features, "dropout_horizon")
