"""The encoder–forecaster of ConvLSTMs (Shi et al. 2015, figure 3): from frames to all cells of the frames ahead."""

from typing import Any

import keras

from forecasting.config.network import ConvLSTM
from forecasting.nn import cells
from forecasting.nn.layers.code_embedding import CodeEmbedding
from forecasting.nn.layers.frames import EveryPlace, EveryStep, LastFrame, Patches, Places
from forecasting.nn.layers.reversible_norm import LocationScale, Normalise
from forecasting.nn.shapes import Shapes, inputs
from forecasting.nn.wiring import dropped, joined

__all__ = ["build"]


def build(params: ConvLSTM, shapes: Shapes, head: Any) -> keras.Model:
    """The network: frames → patches → encoder → its states → forecaster → cells of all steps (B, M, W) → head.

    At every step, the forecaster's inputs are the newest frame and the features known ahead of that step. A single
    series is a line of one place.
    """
    arrays = inputs(shapes)
    loc_scale = LocationScale(params.normalise, mask=shapes.mask, name="loc_scale")(arrays["past"])  # (B, *grid, 2)
    past = Normalise(name="normalise")([arrays["past"], loc_scale])  # (B, T, *grid, D)
    grid = shapes.grid or (1,)
    if not shapes.grid:
        past = keras.layers.Reshape((shapes.context, 1, shapes.past), name="place")(past)
    known = _static(params, shapes, arrays)
    read = joined([past, *(EveryStep(shapes.context, name="static_read")(part) for part in known)], "read")
    patches = Patches(params.patch, name="patches")(read)
    states = _encode(params, patches, len(grid))
    given = [EveryStep(shapes.horizon, name="newest")(LastFrame(name="last")(patches))]
    if shapes.future:
        cut = tuple(int(size) for size in patches.shape[2:-1])
        given.append(EveryPlace(cut, name="everywhere")(arrays["future"]))
    ahead = _forecast(params, joined(given, "asked"), states, len(grid))
    ahead = keras.layers.Dense(params.patch ** len(grid) * params.width, activation="relu", name="features")(ahead)
    features = Places(grid, params.patch, name="places")(ahead)  # (B, M, W)
    loc_scales = keras.layers.Reshape((2 * shapes.places,), name="loc_scale_places", dtype="float32")(loc_scale)
    loc_scales = keras.layers.RepeatVector(shapes.horizon, name="loc_scales", dtype="float32")(loc_scales)
    loc_scales = keras.layers.Reshape((-1, 2), name="steps_and_places", dtype="float32")(loc_scales)  # (B, M, 2)
    return keras.Model(arrays, head([features, loc_scales]), name="conv_lstm")


def _static(params: ConvLSTM, shapes: Shapes, arrays: dict[str, Any]) -> list[Any]:
    """The static inputs of each place (B, *grid, S), at most one tensor."""
    known = [arrays["static"]] if shapes.static else []
    if shapes.codes:  # a single series: grids have none
        known.append(CodeEmbedding(shapes.codes, params.embedding, name="embedding")(arrays["codes"]))
    if not known:
        return []
    beside = joined(known, "static_known")
    width = int(beside.shape[-1])
    return [beside if shapes.grid else keras.layers.Reshape((1, width), name="static_place")(beside)]


def _encode(params: ConvLSTM, hidden: Any, rank: int) -> list[list[Any]]:
    """The last states h and c of each layer over the context, (B, *cut, U) each."""
    states = []
    for index, filters in enumerate(params.filters, start=1):
        layer = cells.layer(params, filters, sequences=True, states=True, name=f"encoder_{index}", rank=rank)
        if params.bidirectional:
            hidden, *last = keras.layers.Bidirectional(layer, name=f"both_{index}")(hidden)
            pairs = zip(last[:2], last[2:], strict=True)
            last = [joined(list(pair), f"{part}_{index}") for part, pair in zip("hc", pairs, strict=True)]
        else:
            hidden, *last = layer(hidden)
        states.append(last)
        hidden = dropped(params.dropout, hidden, f"dropout_encoder_{index}") if index < len(params.filters) else hidden
    return states


def _forecast(params: ConvLSTM, hidden: Any, states: list[list[Any]], rank: int) -> Any:
    """The hidden states of all layers at all steps ahead, side by side (B, H, *cut, ΣU)."""
    every = []
    for index, (filters, initial) in enumerate(zip(params.filters, states, strict=True), start=1):
        count = 2 * filters if params.bidirectional else filters
        layer = cells.layer(params, count, sequences=True, name=f"forecaster_{index}", rank=rank)
        hidden = dropped(params.dropout, layer(hidden, initial_state=initial), f"dropout_forecaster_{index}")
        every.append(hidden)
    return joined(every, "every_layer")
