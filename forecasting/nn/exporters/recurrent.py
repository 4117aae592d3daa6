"""Recurrent layers as the native ONNX operators RNN, LSTM and GRU, both directions in one operator."""

from typing import Any, Final, NamedTuple

import keras
import numpy as np
import numpy.typing as npt

from forecasting.errors import GatecastError
from forecasting.nn.exporters.graph import Graph, onnx_activation

__all__ = ["bidirectional", "recurrent"]

Array = npt.NDArray[np.float32]

# where Keras keeps the gates that ONNX wants: input, output, forget, candidate; update, reset, candidate
LSTM_ORDER: Final = (0, 3, 1, 2)
GRU_ORDER: Final = (0, 1, 2)


class _Weights(NamedTuple):
    """What one direction puts in: (G*U, D), (G*U, U) and (2*G*U,) for G gates."""

    inputs: Array
    states: Array
    biases: Array


def recurrent(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """A layer that runs forwards: (B, T, D) to (B, T, U), or (B, U) where it returns the last state."""
    if layer.go_backwards:
        raise GatecastError(f"layer {layer.name} runs backwards; only Bidirectional may do so")
    return _operator(graph, [layer], inputs[0], "forward")


def bidirectional(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """Bidirectional with concatenation: (B, T, D) to (B, T, 2U) or (B, 2U)."""
    if layer.merge_mode != "concat":
        raise GatecastError(f"layer {layer.name} has merge_mode {layer.merge_mode!r}, expected 'concat'")
    return _operator(graph, [layer.forward_layer, layer.backward_layer], inputs[0], "bidirectional")


def _operator(graph: Graph, layers: list[Any], value: str, direction: str) -> str:
    weights = [_weights(layer) for layer in layers]
    constants = [graph.constant(np.stack(parts)) for parts in zip(*weights, strict=True)]
    steps_first = graph.add("Transpose", value, perm=[1, 0, 2])  # ONNX Runtime has no batch-first recurrence
    sequence, state = graph.add_many(
        _name(layers[0]),
        [steps_first, *constants],
        outputs=2,
        hidden_size=layers[0].units,
        direction=direction,
        **_attributes(layers),
    )
    size = len(layers) * layers[0].units
    if layers[0].return_sequences:  # (T, directions, B, U)
        batch_first = graph.add("Transpose", sequence, perm=[2, 0, 1, 3])
        return graph.add("Reshape", batch_first, graph.constant([0, 0, size]))
    return graph.add("Reshape", graph.add("Transpose", state, perm=[1, 0, 2]), graph.constant([0, size]))


def _name(layer: Any) -> str:
    names = {keras.layers.SimpleRNN: "RNN", keras.layers.LSTM: "LSTM", keras.layers.GRU: "GRU"}
    if type(layer) not in names:
        raise GatecastError(f"layer {layer.name} ({type(layer).__name__}) has no native recurrent operator")
    return names[type(layer)]


def _attributes(layers: list[Any]) -> dict[str, Any]:
    layer = layers[0]
    state = onnx_activation(layer.activation.__name__)
    if isinstance(layer, keras.layers.SimpleRNN):
        return {"activations": [state] * len(layers)}
    gate = onnx_activation(layer.recurrent_activation.__name__)
    if isinstance(layer, keras.layers.GRU):
        return {"activations": [gate, state] * len(layers), "linear_before_reset": int(layer.reset_after)}
    return {"activations": [gate, state, state] * len(layers)}


def _weights(layer: Any) -> _Weights:
    kernel, recurrent_kernel, bias = (np.asarray(part, np.float32) for part in layer.get_weights())
    order = {"LSTM": LSTM_ORDER, "GRU": GRU_ORDER}.get(_name(layer), (0,))
    bias = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])  # input half, recurrent half
    return _Weights(
        inputs=_gates(kernel, order).T,
        states=_gates(recurrent_kernel, order).T,
        biases=_gates(bias, order).reshape(-1),
    )


def _gates(values: Array, order: tuple[int, ...]) -> Array:
    """Reorder the gates, which lie side by side on the last axis."""
    parts = np.split(values, len(order), axis=-1)
    return np.concatenate([parts[gate] for gate in order], axis=-1)
