"""The base of step-by-step networks: an encoder of the context, and decoder steps that carry its states on.

Such a network is two functions over the same layers. `encode(layers, arrays)` returns the states after the context and
the memory, which stays the same over all steps; `decode(layers, arrays, states, memory)` takes all steps of
`arrays["previous"]` (B, M) at once and returns the head's output (B, M, P) and the states after them. Training decodes
the whole horizon with the true value before each step (teacher forcing); a forecast decodes one step after the other,
from its own values.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import keras

from forecasting.nn import cells
from forecasting.nn.layers.code_embedding import CodeEmbedding
from forecasting.nn.layers.reversible_norm import LocationScale, Normalise
from forecasting.nn.shapes import Shapes, inputs
from forecasting.nn.wiring import joined

__all__ = ["common", "of_series", "parts", "run", "stack", "state_sizes", "steps", "whole"]

Layers: TypeAlias = Mapping[str, Any]
Arrays: TypeAlias = Mapping[str, Any]
Encode: TypeAlias = Callable[[Layers, Arrays], tuple[list[Any], list[Any]]]
Decode: TypeAlias = Callable[[Layers, Arrays, list[Any], list[Any]], tuple[Any, list[Any]]]


def whole(layers: Layers, shapes: Shapes, encode: Encode, decode: Decode, *, name: str) -> keras.Model:
    """The network in training; besides the inputs of `shapes` it takes `previous` (B, H) in the scaled space."""
    arrays = {**inputs(shapes), "previous": keras.Input((shapes.horizon,), name="previous")}
    states, memory = encode(layers, arrays)
    output, _ = decode(layers, arrays, states, memory)
    return keras.Model(arrays, output, name=name)


def parts(network: keras.Model, encode: Encode, decode: Decode) -> dict[str, keras.Model]:
    """The reader and the single step of a network, over its own layers.

    The reader outputs `state_0, …` and `memory_0, …`; the step takes these, `previous` (B, 1) and, if the network has
    it, `future` (B, 1, F), and outputs the head's output (B, 1, P) and new states.
    """
    layers = {layer.name: layer for layer in network.layers}
    given = {tensor.name: tensor for tensor in network.inputs}
    context = {name: tensor for name, tensor in given.items() if name not in ("previous", "future")}
    states, memory = encode(layers, context)
    carried = {f"state_{index}": state for index, state in enumerate(states)}
    kept = {f"memory_{index}": part for index, part in enumerate(memory)}
    reader = keras.Model(context, {**carried, **kept}, name=f"{network.name}_reader")
    arrays = {"previous": keras.Input((1,), name="previous")}
    if "future" in given:
        arrays["future"] = keras.Input((1, given["future"].shape[-1]), name="future")
    before, remembered = _as_inputs(carried), _as_inputs(kept)
    output, after = decode(layers, arrays, list(before.values()), list(remembered.values()))
    outputs = {layers["head"].output_name: output, **dict(zip(carried, after, strict=True))}
    step = keras.Model({**arrays, **before, **remembered}, outputs, name=f"{network.name}_step")
    return {"model": reader, "step": step}


def common(normalise: str, embedding: int, shapes: Shapes, head: Any) -> dict[str, Any]:
    """The layers of every such network: normalization of its windows, vectors of its categories, its head."""
    found = {
        "loc_scale": LocationScale(normalise, mask=shapes.mask, name="loc_scale"),
        "normalise": Normalise(name="normalise"),
        "head": head,
    }
    if shapes.codes:
        found["embedding"] = CodeEmbedding(shapes.codes, embedding, name="embedding")
    return found


def stack(params: cells.CellParams, units: tuple[int, ...], *, name: str, dropout: float = 0.0) -> dict[str, Any]:
    """Recurrent layers name_1, name_2, … that give all steps and their states, with dropout after each."""
    layers: dict[str, Any] = {}
    for index, size in enumerate(units, start=1):
        layers[f"{name}_{index}"] = cells.layer(params, size, sequences=True, states=True, name=f"{name}_{index}")
        if dropout:
            layers[f"{name}_dropout_{index}"] = keras.layers.Dropout(dropout, name=f"{name}_dropout_{index}")
    return layers


def state_sizes(layer: Any) -> list[int]:
    """The width of each state of a recurrent layer."""
    size = layer.cell.state_size
    return list(size) if isinstance(size, list | tuple) else [size]


def run(layers: Layers, name: str, sequence: Any, states: list[Any] | None = None) -> tuple[Any, list[list[Any]]]:
    """A stack over (B, M, W) from given states: the output (B, M, U) of its last layer, and the states of each."""
    after, left, index = [], list(states or []), 1
    while f"{name}_{index}" in layers:
        layer = layers[f"{name}_{index}"]
        if states is None:
            sequence, *found = layer(sequence)
        else:
            count = len(state_sizes(layer))
            begin, left = left[:count], left[count:]
            sequence, *found = layer(sequence, initial_state=begin)
        if f"{name}_dropout_{index}" in layers:
            sequence = layers[f"{name}_dropout_{index}"](sequence)
        after.append(found)
        index += 1
    return sequence, after


def of_series(layers: Layers, arrays: Arrays) -> list[Any]:
    """The static inputs of a series (B, S): its static numbers and the vectors of its categories; empty without any."""
    known = [arrays["static"]] if "static" in arrays else []
    if "codes" in arrays:
        known.append(layers["embedding"](arrays["codes"]))
    return [joined(known, "series")] if known else []


def steps(layers: Layers, arrays: Arrays, loc_scale: Any, constant: list[Any]) -> tuple[Any, Any]:
    """The inputs of M steps (B, M, W), and their location and scale (B, M, 2).

    The previous value normalized by `loc_scale` (B, 2), the features known ahead, and the inputs (B, S) that are the
    same at all steps.
    """
    count = arrays["previous"].shape[1]
    before = keras.layers.Reshape((count, 1), name="before", dtype="float32")(arrays["previous"])
    parts = [layers["normalise"]([before, loc_scale]), *([arrays["future"]] if "future" in arrays else [])]
    parts += [keras.layers.RepeatVector(count, name="constant")(part) for part in constant]
    return joined(parts, "told"), keras.layers.RepeatVector(count, name="loc_scales", dtype="float32")(loc_scale)


def _as_inputs(tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {name: keras.Input(tuple(tensor.shape[1:]), name=name) for name, tensor in tensors.items()}
