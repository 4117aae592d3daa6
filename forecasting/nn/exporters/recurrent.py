"""Recurrent layers as the native ONNX operators RNN, LSTM and GRU, both directions in one operator."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import keras
import numpy as np
import numpy.typing as npt

from forecasting.errors import GatecastError
from forecasting.nn.cells.coupled_lstm import CoupledLSTMCell
from forecasting.nn.cells.peephole_lstm import PeepholeLSTMCell
from forecasting.nn.exporters.convolutional import CONVOLUTIONAL, conv_bidirectional
from forecasting.nn.exporters.graph import Graph, onnx_activation

__all__ = ["bidirectional", "recurrent"]

Array = npt.NDArray[np.float32]


class _Form(NamedTuple):
    """One direction of an operator: weights (gates*U, D), (gates*U, U), (2*gates*U,) with the gates in ONNX order."""

    operator: str
    weights: tuple[Array, Array, Array]
    activations: tuple[str, ...]
    peephole: tuple[Array, ...] = ()  # (3*U,) or none
    flags: tuple[tuple[str, int], ...] = ()
    slopes: tuple[float, ...] = ()  # alpha of the activations that take one


def recurrent(graph: Graph, layer: Any, inputs: list[str]) -> list[str]:
    """A forward layer: (B, T, D), and states (B, U) if given, to (B, T, U) or (B, U).

    The last states follow if the layer returns them.
    """
    if layer.go_backwards:
        raise GatecastError(f"layer {layer.name} runs backward; wrap it in Bidirectional")
    return _operator(graph, [layer], inputs, "forward")


def bidirectional(graph: Graph, layer: Any, inputs: list[str]) -> list[str]:
    """Both directions side by side: (B, T, …, D) to (B, T, …, 2U) or (B, …, 2U), then forward and backward states."""
    if layer.merge_mode != "concat":
        raise GatecastError(f"layer {layer.name} has merge_mode {layer.merge_mode!r}, expected 'concat'")
    if type(layer.forward_layer) in CONVOLUTIONAL:
        return conv_bidirectional(graph, layer, inputs)
    return _operator(graph, [layer.forward_layer, layer.backward_layer], inputs, "bidirectional")


def _operator(graph: Graph, layers: list[Any], inputs: list[str], direction: str) -> list[str]:
    if layers[0].stateful and len(inputs) == 1:
        raise GatecastError(f"layer {layers[0].name} keeps its state between calls; give it initial_state instead")
    forms = [_form(layer) for layer in layers]
    weights = [graph.constant(np.stack(parts)) for parts in zip(*(form.weights for form in forms), strict=True)]
    given = _given_states(graph, inputs[1:], len(layers))
    peephole = [graph.constant(np.stack(parts)) for parts in zip(*(form.peephole for form in forms), strict=True)]
    skipped = [""] * (2 - len(given)) if peephole else []  # peepholes stand behind the states
    values = ["", *given, *skipped, *peephole] if given or peephole else []  # all sequences have full length
    steps_first = graph.add("Transpose", inputs[0], perm=[1, 0, 2])  # ONNX Runtime has no batch-first recurrence
    slopes = {"activation_alpha": [slope for form in forms for slope in form.slopes]} if forms[0].slopes else {}
    sequence, *states = graph.add_many(
        forms[0].operator,
        [steps_first, *weights, *values],
        outputs=3 if forms[0].operator == "LSTM" else 2,
        hidden_size=layers[0].cell.units,
        direction=direction,
        activations=[name for form in forms for name in form.activations],
        **dict(forms[0].flags),
        **slopes,
    )
    output = _output(graph, layers, sequence, states[0])
    return [output, *_last_states(graph, states, len(layers))] if layers[0].return_state else [output]


def _given_states(graph: Graph, states: list[str], directions: int) -> list[str]:
    """States (B, U), those of the forward pass first, as (directions, B, U), one for each kind of state."""
    kinds = len(states) // directions
    layered = [graph.add("Unsqueeze", state, graph.constant([0])) for state in states]
    groups = [layered[kind::kinds] for kind in range(kinds)]
    return [group[0] if directions == 1 else graph.add("Concat", *group, axis=0) for group in groups]


def _last_states(graph: Graph, states: list[str], directions: int) -> list[str]:
    """States (directions, B, U) as (B, U) each, those of the forward pass first."""
    axis = graph.constant([0])
    return [
        graph.add("Squeeze", graph.slice(state, 0, index, index + 1), axis)
        for index in range(directions)
        for state in states
    ]


def _output(graph: Graph, layers: list[Any], sequence: str, state: str) -> str:
    size = len(layers) * layers[0].cell.units
    if layers[0].return_sequences:  # (T, directions, B, U)
        batch_first = graph.add("Transpose", sequence, perm=[2, 0, 1, 3])
        return graph.add("Reshape", batch_first, graph.constant([0, 0, size]))
    return graph.add("Reshape", graph.add("Transpose", state, perm=[1, 0, 2]), graph.constant([0, size]))


def _form(layer: Any) -> _Form:
    if type(layer.cell) not in _FORMS:
        raise GatecastError(f"layer {layer.name} ({type(layer.cell).__name__}) has no native recurrent operator")
    return _FORMS[type(layer.cell)](layer.cell)


def _simple(cell: Any) -> _Form:
    return _Form("RNN", _packed(_gates(cell, (0,))), (onnx_activation(cell.activation.__name__),))


def _lstm(cell: Any) -> _Form:
    gate, state = (onnx_activation(each.__name__) for each in (cell.recurrent_activation, cell.activation))
    weights = _packed(_gates(cell, (0, 3, 1, 2)))  # input, output, forget, candidate
    return _Form("LSTM", weights, (gate, state, state))


def _gru(cell: Any) -> _Form:
    gate, state = (onnx_activation(each.__name__) for each in (cell.recurrent_activation, cell.activation))
    weights = _packed(_gates(cell, (0, 1, 2)))  # update, reset, candidate
    return _Form("GRU", weights, (gate, state), flags=(("linear_before_reset", int(cell.reset_after)),))


def _peephole_lstm(cell: Any) -> _Form:
    squash, slopes = ("Tanh", ()) if cell.squash == "tanh" else ("Affine", (1.0,))  # 1 x + 0: the identity
    peephole = np.asarray(cell.peephole, np.float32)[[0, 2, 1]].reshape(-1)  # input, output, forget
    activations = ("Sigmoid", onnx_activation(cell.activation), squash)
    return _Form("LSTM", _packed(_gates(cell, (0, 3, 1, 2))), activations, (peephole,), slopes=slopes)


def _coupled_lstm(cell: Any) -> _Form:
    """ONNX Runtime computes the input gate and takes f = 1 - i; ours is i = 1 - σ(x) = σ(-x)."""
    parts = []
    for gates in _gates(cell, (0, 2, 1)):
        forget, output, candidate = np.split(gates, 3, axis=-1)
        parts.append(np.concatenate([-forget, output, np.zeros_like(forget), candidate], axis=-1))
    state = onnx_activation(cell.activation)
    return _Form("LSTM", _packed(parts), ("Sigmoid", state, state), flags=(("input_forget", 1),))


def _gates(cell: Any, order: tuple[int, ...]) -> list[Array]:
    """Kernel (D, gates*U), recurrent kernel (U, gates*U), biases (2, gates*U) with the gates side by side, in order."""
    bias = np.asarray(cell.bias, np.float32)
    bias = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])  # of the input, of the state
    parts = (np.asarray(cell.kernel, np.float32), np.asarray(cell.recurrent_kernel, np.float32), bias)
    split = [np.split(part, len(order), axis=-1) for part in parts]
    return [np.concatenate([gates[place] for place in order], axis=-1) for gates in split]


def _packed(parts: list[Array]) -> tuple[Array, Array, Array]:
    kernel, recurrent_kernel, bias = parts
    return kernel.T, recurrent_kernel.T, bias.reshape(-1)


_FORMS: Final[dict[type[Any], Callable[[Any], _Form]]] = {
    keras.layers.SimpleRNNCell: _simple,
    keras.layers.LSTMCell: _lstm,
    keras.layers.GRUCell: _gru,
    PeepholeLSTMCell: _peephole_lstm,
    CoupledLSTMCell: _coupled_lstm,
}
