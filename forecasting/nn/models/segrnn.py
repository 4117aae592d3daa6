"""SegRNN (Lin et al. 2023): a recurrent layer reads segments of the context and outputs all segments ahead at once."""

from typing import Any

import keras

from forecasting.config.network import SegRNN
from forecasting.nn import cells
from forecasting.nn.layers.code_embedding import CodeEmbedding
from forecasting.nn.layers.reversible_norm import LocationScale, Normalise
from forecasting.nn.layers.segments import Segments, SharedRecurrence, Steps
from forecasting.nn.shapes import Shapes, inputs
from forecasting.nn.wiring import dropped, joined, moved_by_highway, with_cycle, without_cycle

__all__ = ["build"]

WIDTH = 8  # features per step for the head: as many as any head needs for one step


def build(params: SegRNN, shapes: Shapes, head: Any) -> keras.Model:
    """The network: context → segments → recurrent layer → one output per segment ahead → steps → head."""
    arrays = inputs(shapes)
    past, cycle = without_cycle(params, shapes, arrays)
    loc_scale = LocationScale(params.normalise, mask=shapes.mask, name="loc_scale")(past)  # (B, 2)
    past = Normalise(name="normalise")([past, loc_scale])  # (B, T, D)
    segments = Segments(params.segment, name="segments")(past)  # (B, n, w * D)
    segments = keras.layers.Dense(params.units, activation="relu", name="projection")(segments)
    ahead = -(-shapes.horizon // params.segment)  # m
    layer = cells.layer(params, params.units, sequences=False, states=True, name=params.cell)
    read = [segments, *_known(params, shapes, arrays, ahead)]
    answers = SharedRecurrence(layer, ahead, name="recurrence")(read)  # (B, m, U)
    answers = dropped(params.dropout, answers, "dropout")
    answers = keras.layers.Dense(params.segment * WIDTH, name="steps")(answers)
    features = Steps(shapes.horizon, WIDTH, name="horizon")(answers)  # (B, H, W)
    loc_scales = keras.layers.RepeatVector(shapes.horizon, name="loc_scales", dtype="float32")(loc_scale)  # (B, H, 2)
    loc_scales = with_cycle(moved_by_highway(params, arrays, past, loc_scales), cycle)
    return keras.Model(arrays, head([features, loc_scales]), name="segrnn")


def _known(params: SegRNN, shapes: Shapes, arrays: dict[str, Any], ahead: int) -> list[Any]:
    """The known inputs of each segment ahead (B, m, U): of its series, and its own covariates; empty without any."""
    known = []
    if shapes.static:
        known.append(arrays["static"])
    if shapes.codes:
        known.append(CodeEmbedding(shapes.codes, params.embedding, name="embedding")(arrays["codes"]))
    known = [keras.layers.RepeatVector(ahead, name=f"known_{index}")(part) for index, part in enumerate(known, start=1)]
    if shapes.future:
        known.append(Segments(params.segment, ahead=True, name="known_ahead")(arrays["future"]))
    if not known:
        return []
    return [keras.layers.Dense(params.units, use_bias=False, name="known_projection")(joined(known, "known"))]
