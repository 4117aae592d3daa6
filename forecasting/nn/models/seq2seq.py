"""Sequence to sequence (Sutskever et al. 2014): an encoder reads, a decoder with attention tells what comes."""

from typing import Any, ClassVar, Literal

import keras
from pydantic import Field, PositiveInt

from forecasting.nn import autoregressive as stepping
from forecasting.nn import cells
from forecasting.nn.layers.attention import Attention
from forecasting.nn.shapes import Shapes, refuse_grid
from forecasting.nn.wiring import joined

__all__ = ["Config", "build", "parts"]


class Config(cells.Params):
    """The parameters of `seq2seq`; encoder and decoder have one recurrent layer per entry of `units`."""

    usable: ClassVar[tuple[str, ...]] = cells.OF_VECTORS
    refusal: ClassVar[str] = "not a cell that reads single series; valid cells"
    activation: ClassVar[str] = "tanh"  # of the cells' states

    cell: str = "gru"
    units: tuple[PositiveInt, ...] = Field((48,), min_length=1)
    bidirectional: bool = False  # the encoder's backward passes stay inside the observed context
    attention: bool = True  # of the decoder over all steps of the context
    dropout: float = Field(0.0, ge=0, lt=1)  # after every recurrent layer
    normalise: Literal["scale", "window", "last", "none"] = "window"
    embedding: PositiveInt = 8  # width of the vector of a static categorical


def build(config: Config, shapes: Shapes, head: Any) -> keras.Model:
    """The network that learns, told the value before each step of the horizon in its input `previous` (B, H).

    Raises ConfigError on a grid.
    """
    refuse_grid("seq2seq", shapes)
    layers = stepping.common(config.normalise, config.embedding, shapes, head)
    layers |= _encoder(config)
    layers |= stepping.stack(config, config.units, name="decoder", dropout=config.dropout)
    if config.attention:
        layers["attention"] = Attention(name="attention")
    return stepping.whole(layers, shapes, _read, _tell, name="seq2seq")


def parts(network: keras.Model) -> dict[str, keras.Model]:
    """The reader of the context and the single step of a network; they share its weights."""
    return stepping.parts(network, _read, _tell)


def _encoder(config: Config) -> dict[str, Any]:
    """The encoder's stack; both directions are brought to the decoder's width by a bridge for each of its states."""
    layers = stepping.stack(config, config.units, name="encoder", dropout=config.dropout)
    if not config.bidirectional:
        return layers
    for index, units in enumerate(config.units, start=1):
        layer = layers[f"encoder_{index}"]
        layers[f"encoder_{index}"] = keras.layers.Bidirectional(layer, name=f"encoder_{index}")
        bridges = [f"bridge_{index}_{kind}" for kind, _ in enumerate(stepping.state_sizes(layer), start=1)]
        layers |= {name: keras.layers.Dense(units, name=name) for name in bridges}
    return layers


def _read(layers: stepping.Layers, arrays: stepping.Arrays) -> tuple[list[Any], list[Any]]:
    frame = layers["frame"](arrays["past"])  # (B, 2)
    encoded, found = stepping.run(layers, "encoder", layers["normalise"]([arrays["past"], frame]))  # (B, T, V)
    states = [state for index, of_layer in enumerate(found, start=1) for state in _bridged(layers, index, of_layer)]
    memory = [frame, *([encoded] if "attention" in layers else []), *stepping.of_series(layers, arrays)]
    return states, memory


def _bridged(layers: stepping.Layers, index: int, states: list[Any]) -> list[Any]:
    """The states that the decoder's layer of this index begins with."""
    if f"bridge_{index}_1" not in layers:
        return states
    kinds = len(states) // 2
    pairs = zip(states[:kinds], states[kinds:], strict=True)
    return [
        layers[f"bridge_{index}_{kind}"](joined(list(pair), f"both_{index}_{kind}"))
        for kind, pair in enumerate(pairs, start=1)
    ]


def _tell(
    layers: stepping.Layers, arrays: stepping.Arrays, states: list[Any], memory: list[Any]
) -> tuple[Any, list[Any]]:
    frame, *rest = memory
    encoded, series = (rest[:1], rest[1:]) if "attention" in layers else ([], rest)
    told, frames = stepping.steps(layers, arrays, frame, series)
    features, after = stepping.run(layers, "decoder", told, states)
    if encoded:
        features = layers["attention"]([features, *encoded])  # (B, N, U)
    return layers["head"]([features, frames]), [state for of_layer in after for state in of_layer]
