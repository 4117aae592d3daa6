"""Many to many: at every step of a sequence of symbols or numbers, a forecast of the next one."""

from typing import Any

import keras

from forecasting.config.network import InStep
from forecasting.errors import ConfigError
from forecasting.nn import autoregressive
from forecasting.nn.layers.symbols import Carried, Unscaled
from forecasting.nn.shapes import Shapes

__all__ = ["build", "carrying", "parts"]


def build(params: InStep, shapes: Shapes, head: Any) -> keras.Model:
    """The network from states of zero: `symbols` (B, T) codes, or `past` (B, T, D), to the head's output (B, T, P).

    T is free. Raises ConfigError for inputs that it cannot read: covariates known ahead, and static ones.
    """
    _check(shapes)
    layers: dict[str, Any] = {"head": head, "unscaled": Unscaled(name="unscaled", dtype="float32")}
    if shapes.symbols:
        arrays = {"symbols": keras.Input((None,), name="symbols", dtype="int32")}
        one_hot = params.inputs == "one_hot"
        layers["vectors"] = keras.layers.Embedding(
            shapes.symbols,
            shapes.symbols if one_hot else params.width,
            embeddings_initializer="identity" if one_hot else "uniform",
            trainable=not one_hot,
            name="vectors",
        )
    else:
        arrays = {"past": keras.Input((None, shapes.past), name="past")}
    layers |= autoregressive.stack(params, params.units, name="recurrent", dropout=params.dropout)
    output, _ = _decode(layers, arrays, None)
    return keras.Model(arrays, output, name="in_step")


def parts(network: keras.Model) -> dict[str, keras.Model]:
    """The network from given states, as one graph for chunks of any length, single steps among them.

    It takes `state_0, …` besides its input, and returns the head's output and the states after the last step.
    """
    layers = {layer.name: layer for layer in network.layers}
    arrays = {tensor.name: tensor for tensor in network.inputs}
    states = [keras.Input((size,), name=f"state_{index}") for index, size in enumerate(_sizes(layers))]
    output, after = _decode(layers, arrays, states)
    outputs = {layers["head"].output_name: output, **{f"state_{index}": state for index, state in enumerate(after)}}
    given = {**arrays, **{state.name: state for state in states}}
    return {"model": keras.Model(given, outputs, name="in_step_chunk")}


def carrying(network: keras.Model, lanes: int) -> keras.Model:
    """The network for training on long sequences, with the same weights.

    Every lane of a batch continues from the last state of that lane in the batch before, unless `fresh` (B, 1) is 1.
    """
    given = {
        tensor.name: keras.Input(tensor.shape[1:], lanes, name=tensor.name, dtype=tensor.dtype)
        for tensor in network.inputs
    }
    arrays = {**given, "fresh": keras.Input((1,), lanes, name="fresh")}
    return keras.Model(arrays, Carried(parts(network)["model"], lanes, name="carried")(arrays), name="in_step_carrying")


def _check(shapes: Shapes) -> None:
    foreign = {
        "covariates known ahead": bool(shapes.future),
        "static covariates": bool(shapes.static or shapes.codes),
        "covariates beside symbols": bool(shapes.symbols and shapes.past),
    }
    wrong = [what for what, there in foreign.items() if there]
    if wrong:
        raise ConfigError(
            f"in_step reads one series of numbers, with past covariates, or of symbols; got {', '.join(wrong)}"
        )


def _decode(
    layers: autoregressive.Layers, arrays: autoregressive.Arrays, states: list[Any] | None
) -> tuple[Any, list[Any]]:
    read = layers["vectors"](arrays["symbols"]) if "symbols" in arrays else arrays["past"]
    features, after = autoregressive.run(layers, "recurrent", read, states)
    return layers["head"]([features, layers["unscaled"](features)]), [state for of_layer in after for state in of_layer]


def _sizes(layers: autoregressive.Layers) -> list[int]:
    """The widths of all states, layer by layer."""
    found: list[int] = []
    for index in range(1, len(layers)):
        if f"recurrent_{index}" not in layers:
            break
        found += autoregressive.state_sizes(layers[f"recurrent_{index}"])
    return found
