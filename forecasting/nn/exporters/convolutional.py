"""Convolutional recurrent layers as a Scan, one for each direction, with one convolution in each step."""

from typing import Any, Final, NamedTuple

import keras
import numpy as np

from forecasting.errors import GatecastError
from forecasting.nn.cells.conv_lstm_peephole import ConvLSTMPeephole, ConvLSTMPeepholeCell
from forecasting.nn.exporters.graph import Graph

__all__ = ["CONVOLUTIONAL", "conv_bidirectional", "conv_recurrent"]

CONVOLUTIONAL: Final = (keras.layers.ConvLSTM1D, keras.layers.ConvLSTM2D, ConvLSTMPeephole)


class _Cell(NamedTuple):
    """The weights of a step; the gates lie side by side as input, forget, candidate, output."""

    kernel: Any  # (4U, D + U, *window), for input and state at once
    bias: Any  # (4U,)
    peephole: Any  # (3, U, *grid) as input, forget, output, or None
    output_gate: str  # sees the "new" cell state or the "old" one
    gate: str
    activation: str


def conv_recurrent(graph: Graph, layer: Any, inputs: list[str]) -> list[str]:
    """(B, T, *grid, D), and states (B, *grid, U) if given, to (B, T, *grid, U) or (B, *grid, U).

    The last states follow if the layer returns them.
    """
    if layer.go_backwards:
        raise GatecastError(f"layer {layer.name} runs backward; wrap it in Bidirectional")
    return _direction(graph, layer, inputs)


def conv_bidirectional(graph: Graph, layer: Any, inputs: list[str]) -> list[str]:
    """Both directions side by side on the last axis; forward states before backward ones."""
    value, *states = inputs
    half = len(states) // 2
    forward, *last = _direction(graph, layer.forward_layer, [value, *states[:half]])
    backward, *first = _direction(graph, layer.backward_layer, [value, *states[half:]])
    return [graph.add("Concat", forward, backward, axis=-1), *last, *first]


def _direction(graph: Graph, layer: Any, inputs: list[str]) -> list[str]:
    value, *given = inputs
    cell = _cell(layer, carried=bool(given))
    _, _, *grid, channels = graph.shapes[value]
    state = (None, layer.cell.filters, *grid)
    places = list(range(2, 2 + len(grid)))
    sequence = graph.add("Transpose", value, perm=[1, 0, places[-1] + 1, *places])  # (T, B, D, *grid)
    before = [graph.add("Transpose", each, perm=[0, places[-1], *(place - 1 for place in places)]) for each in given]
    body = graph.body()
    h, c = (body.input(name, state, "float32") for name in "hc")
    h, c = _step(body, cell, h, c, body.input("x", (None, channels, *grid), "float32"))
    collected = {"each": h} if layer.return_sequences else {}
    for name, result in {"next_h": h, "next_c": c, **collected}.items():
        body.output(name, result, state)
    last_h, last_c, *each = graph.scan(
        body, before or [_zeros(graph, value, state[1:])] * 2, sequence, backwards=layer.go_backwards
    )
    frames = [graph.add("Transpose", last, perm=[0, *places, 1]) for last in (last_h, last_c)]  # (B, *grid, U)
    output = frames[0]
    if each:  # (T, B, U, *grid) to (B, T, *grid, U)
        output = graph.add("Transpose", each[0], perm=[1, 0, *(place + 1 for place in places), 2])
    return [output, *frames] if layer.return_state else [output]


def _step(body: Graph, cell: _Cell, h: str, c: str, x: str) -> tuple[str, str]:
    """The new states (B, U, *grid)."""
    window = cell.kernel.shape[2:]
    pads = [(size - 1) // 2 for size in window] + [size // 2 for size in window]  # where uneven, more behind
    joined = body.add("Concat", x, h, axis=1)
    gates = body.add("Conv", joined, body.constant(cell.kernel), body.constant(cell.bias), pads=pads)
    i, f, candidate, o = body.add_many("Split", [gates], outputs=4, axis=1, num_outputs=4)
    old = c
    i, f = (_gate(body, cell, value, index, old) for index, value in enumerate((i, f)))
    taken = body.add("Mul", i, body.activate(candidate, cell.activation))
    c = body.add("Add", body.add("Mul", f, old), taken)
    o = _gate(body, cell, o, 2, c if cell.output_gate == "new" else old)
    return body.add("Mul", o, body.activate(c, cell.activation)), c


def _gate(body: Graph, cell: _Cell, value: str, index: int, state: str) -> str:
    if cell.peephole is not None:
        value = body.add("Add", value, body.add("Mul", body.constant(cell.peephole[index]), state))
    return body.activate(value, cell.gate)


def _zeros(graph: Graph, value: str, shape: tuple[int, ...]) -> str:
    """Zeros of this shape, one for each window."""
    batch = graph.add("Shape", value, start=0, end=1)
    return graph.add("ConstantOfShape", graph.add("Concat", batch, graph.constant(shape), axis=0))


def _cell(layer: Any, *, carried: bool) -> _Cell:
    """The layer's cell in the order of ONNX; raises GatecastError for a cell that the step cannot express."""
    cell = layer.cell
    if layer.stateful and not carried:
        raise GatecastError(f"layer {layer.name} keeps its state between calls; give it initial_state instead")
    peephole, output_gate, gate = None, "new", "sigmoid"
    if isinstance(cell, ConvLSTMPeepholeCell):
        peephole, output_gate = np.moveaxis(np.asarray(cell.peephole), -1, 1), cell.output_gate
    else:
        gate = cell.recurrent_activation.__name__
        _check_plain(layer.name, cell)
    kernel = np.concatenate([np.asarray(cell.kernel), np.asarray(cell.recurrent_kernel)], axis=-2)
    return _Cell(
        kernel=np.moveaxis(kernel, (-1, -2), (0, 1)),
        bias=np.asarray(cell.bias),
        peephole=peephole,
        output_gate=output_gate,
        gate=gate,
        activation=keras.activations.get(cell.activation).__name__,
    )


def _check_plain(name: str, cell: Any) -> None:
    found = {
        "strides": (set(cell.strides), {1}),
        "dilation_rate": (set(cell.dilation_rate), {1}),
        "padding": (cell.padding, "same"),
        "data_format": (cell.data_format, "channels_last"),
        "use_bias": (cell.use_bias, True),
    }
    wrong = [f"{key} {came}, expected {expected}" for key, (came, expected) in found.items() if came != expected]
    if wrong:
        raise GatecastError(f"layer {name} has {'; '.join(wrong)}")
