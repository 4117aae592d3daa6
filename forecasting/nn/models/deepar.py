"""DeepAR (Salinas et al. 2020): one recurrent stack reads the context and continues it, value by value."""

from typing import Any

import keras

from forecasting.config.network import DeepAR
from forecasting.nn import autoregressive
from forecasting.nn.layers.lagged import Held, Lagged
from forecasting.nn.shapes import Shapes
from forecasting.nn.wiring import joined

__all__ = ["build", "parts"]


def build(params: DeepAR, shapes: Shapes, head: Any) -> keras.Model:
    """The network in training; its input `previous` (B, H) holds the true value before each step of the horizon."""
    layers = autoregressive.common(params.normalise, params.embedding, shapes, head)
    layers["lagged"] = Lagged(shapes.future, mask=shapes.mask, name="lagged")
    if shapes.past > 1 + shapes.future:
        layers["held"] = Held(shapes.future, mask=shapes.mask, name="held")
    layers |= autoregressive.stack(params, params.units, name="recurrent", dropout=params.dropout)
    return autoregressive.whole(layers, shapes, _encode, _decode, name="deepar")


def parts(network: keras.Model) -> dict[str, keras.Model]:
    """The reader of the context and the single step of a network; they share its weights."""
    return autoregressive.parts(network, _encode, _decode)


def _encode(layers: autoregressive.Layers, arrays: autoregressive.Arrays) -> tuple[list[Any], list[Any]]:
    loc_scale = layers["loc_scale"](arrays["past"])  # (B, 2)
    past = layers["normalise"]([arrays["past"], loc_scale])
    rows = layers["lagged"](past)  # (B, T - 1, D)
    series = autoregressive.of_series(layers, arrays)
    beside = [keras.layers.RepeatVector(rows.shape[1], name="beside")(part) for part in series]
    _, states = autoregressive.run(layers, "recurrent", joined([rows, *beside], "rows"))
    kept = [layers["held"](past)] if "held" in layers else []
    kept += series
    memory = [loc_scale, *([joined(kept, "kept")] if kept else [])]
    return [state for of_layer in states for state in of_layer], memory


def _decode(
    layers: autoregressive.Layers, arrays: autoregressive.Arrays, states: list[Any], memory: list[Any]
) -> tuple[Any, list[Any]]:
    loc_scale, *kept = memory
    taken, loc_scales = autoregressive.steps(layers, arrays, loc_scale, kept)
    features, after = autoregressive.run(layers, "recurrent", taken, states)
    return layers["head"]([features, loc_scales]), [state for of_layer in after for state in of_layer]
