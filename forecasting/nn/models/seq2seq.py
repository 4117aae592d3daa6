"""Sequence to sequence (Sutskever et al. 2014): an encoder reads the context, a decoder with attention forecasts."""

from typing import Any

import keras

from forecasting.config.network import Seq2Seq
from forecasting.nn import autoregressive
from forecasting.nn.layers.attention import Attention
from forecasting.nn.shapes import Shapes
from forecasting.nn.wiring import joined

__all__ = ["build", "parts"]


def build(params: Seq2Seq, shapes: Shapes, head: Any) -> keras.Model:
    """The network in training; its input `previous` (B, H) holds the true value before each step of the horizon."""
    layers = autoregressive.common(params.normalise, params.embedding, shapes, head)
    layers |= _encoder(params)
    layers |= autoregressive.stack(params, params.units, name="decoder", dropout=params.dropout)
    if params.attention:
        layers["attention"] = Attention(name="attention")
    return autoregressive.whole(layers, shapes, _encode, _decode, name="seq2seq")


def parts(network: keras.Model) -> dict[str, keras.Model]:
    """The reader of the context and the single step of a network; they share its weights."""
    return autoregressive.parts(network, _encode, _decode)


def _encoder(params: Seq2Seq) -> dict[str, Any]:
    """The encoder's stack; a bridge for each state brings both directions to the decoder's width."""
    layers = autoregressive.stack(params, params.units, name="encoder", dropout=params.dropout)
    if not params.bidirectional:
        return layers
    for index, units in enumerate(params.units, start=1):
        layer = layers[f"encoder_{index}"]
        layers[f"encoder_{index}"] = keras.layers.Bidirectional(layer, name=f"encoder_{index}")
        bridges = [f"bridge_{index}_{kind}" for kind, _ in enumerate(autoregressive.state_sizes(layer), start=1)]
        layers |= {name: keras.layers.Dense(units, name=name) for name in bridges}
    return layers


def _encode(layers: autoregressive.Layers, arrays: autoregressive.Arrays) -> tuple[list[Any], list[Any]]:
    loc_scale = layers["loc_scale"](arrays["past"])  # (B, 2)
    encoded, found = autoregressive.run(
        layers, "encoder", layers["normalise"]([arrays["past"], loc_scale])
    )  # (B, T, E)
    states = [state for index, of_layer in enumerate(found, start=1) for state in _bridged(layers, index, of_layer)]
    memory = [loc_scale, *([encoded] if "attention" in layers else []), *autoregressive.of_series(layers, arrays)]
    return states, memory


def _bridged(layers: autoregressive.Layers, index: int, states: list[Any]) -> list[Any]:
    """The initial states of the decoder's layer of this index."""
    if f"bridge_{index}_1" not in layers:
        return states
    kinds = len(states) // 2
    pairs = zip(states[:kinds], states[kinds:], strict=True)
    return [
        layers[f"bridge_{index}_{kind}"](joined(list(pair), f"both_{index}_{kind}"))
        for kind, pair in enumerate(pairs, start=1)
    ]


def _decode(
    layers: autoregressive.Layers, arrays: autoregressive.Arrays, states: list[Any], memory: list[Any]
) -> tuple[Any, list[Any]]:
    loc_scale, *rest = memory
    encoded, series = (rest[:1], rest[1:]) if "attention" in layers else ([], rest)
    taken, loc_scales = autoregressive.steps(layers, arrays, loc_scale, series)
    features, after = autoregressive.run(layers, "decoder", taken, states)
    if encoded:
        features = layers["attention"]([features, *encoded])  # (B, M, U)
    return layers["head"]([features, loc_scales]), [state for of_layer in after for state in of_layer]
