"""A graph that shows its recurrent cells while it runs: their gates and states at every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
import onnx
from onnx import AttributeProto, NodeProto, TensorProto, helper, numpy_helper

from forecasting.bundle.engine import Engine
from forecasting.errors import GatecastError
from forecasting.insight.equations import CellTrace, Weights, gru, lstm, simple
from forecasting.series.windows import Batch

__all__ = ["Layer", "Probe"]

Array = np.ndarray

_EQUATIONS: Final[dict[str, Callable[[Weights, Array, Array, tuple[Array, ...]], CellTrace]]] = {
    "RNN": simple,
    "LSTM": lstm,
    "GRU": gru,
}
_NAMES: Final = {"RNN": "simple RNN", "LSTM": "LSTM", "GRU": "GRU", "Scan": "ConvLSTM"}
_COUPLED, _PEEPHOLE = "coupled LSTM", "peephole LSTM"
_TOLERANCE: Final = 1e-3  # of hidden states, in float32
_PEEPHOLES: Final = 7  # which input of an LSTM holds them


class Layer(NamedTuple):
    """One direction of a recurrent layer while a batch was read."""

    number: int  # among the layers of the graph, 1 is the first
    cell: str  # as people call it
    direction: str  # forward or backward
    continues: bool  # it began with the states of another layer: it looks ahead
    units: int
    trace: CellTrace  # (B, T, U); of a ConvLSTM (B, T, U * places)


class Probe:
    """A graph of a bundle whose recurrent cells can be seen; it computes what the graph computes."""

    def __init__(self, graph: bytes) -> None:
        """Open a copy of the graph with further outputs."""
        model = onnx.load_from_string(graph)
        self._constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
        self._given = _sources(model.graph, self._constants)
        self._nodes = [node for node in model.graph.node if node.op_type in _NAMES]
        self.outputs = {value.name for value in model.graph.output}
        for node in self._nodes:
            if node.op_type == "Scan":
                _open_scan(node)
        there = set(self.outputs)
        for name in dict.fromkeys(name for node in self._nodes for name in _shown(node)):
            if name not in there:
                model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
        self._engine = Engine(model.SerializeToString())

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the arrays that the graph reads."""
        return tuple(self._engine.inputs)

    def zeros(self, count: int) -> Batch:
        """The states (B, U) before anything was read, for a graph that is given states."""
        sizes = {name: shape[1:] for name, shape in self._engine.inputs.items() if name.startswith("state_")}
        return {name: np.zeros((count, *size), np.float32) for name, size in sizes.items()}

    def run(self, batch: Batch) -> tuple[Batch, list[Layer]]:
        """The graph's own outputs, and every direction of every recurrent layer, in the order of the graph."""
        found = self._engine.run(batch)
        layers: list[Layer] = []
        number = 0
        for node in self._nodes:
            continues = self._continues(node)
            traces = _of_scan(node, found) if node.op_type == "Scan" else self._of_operator(node, found)
            units = int(found[_hidden(node)].shape[2 if node.op_type == "Scan" else 3])
            number += traces[0][0] == "forward"  # a ConvLSTM has one loop for each direction
            layers += [Layer(number, _cell(node), direction, continues, units, trace) for direction, trace in traces]
        return {name: found[name] for name in self.outputs}, layers

    def _continues(self, node: NodeProto) -> bool:
        """Whether its first states come from another layer, rather than being zero or an input of the graph."""
        return any(name and self._given.get(name, False) for name in _first_states(node))

    def _of_operator(self, node: NodeProto, found: Batch) -> list[tuple[str, CellTrace]]:
        attributes = _attributes(node)
        x = found[node.input[0]].swapaxes(0, 1)  # (B, T, D)
        hidden = found[node.output[0]].transpose(1, 2, 0, 3)  # (directions, B, T, U)
        directions = ["forward", "backward"][: len(hidden)]
        traces = []
        for place, direction in enumerate(directions):
            zeros = np.zeros_like(hidden[place, :, 0])
            states = [found[name][place] if name else zeros for name in _first_states(node)]
            before = (*states, *[zeros] * (2 - len(states)))
            turn = slice(None, None, -1 if direction == "backward" else 1)
            weights = self._weights(node, attributes, place, len(directions))
            trace = _EQUATIONS[node.op_type](weights, x[:, turn], hidden[place][:, turn], before)
            _check(node.name, trace.states["hidden"], hidden[place][:, turn])
            traces.append((direction, CellTrace(*({n: v[:, turn] for n, v in part.items()} for part in trace))))
        return traces

    def _weights(self, node: NodeProto, attributes: dict[str, Any], place: int, directions: int) -> Weights:
        w, r, b = (self._constants[name][place].astype(np.float64) for name in node.input[1:4])
        units, names = r.shape[1], [name.decode() for name in attributes["activations"]]
        count = len(names) // directions
        peephole = self._constants[node.input[_PEEPHOLES]][place] if _has_peepholes(node) else np.zeros(3 * units)
        return Weights(
            w,
            r,
            b.reshape(2, -1),
            peephole.reshape(3, units).astype(np.float64),
            tuple(names[place * count : (place + 1) * count]),
            coupled=bool(attributes.get("input_forget", 0)),
            reset_after=bool(attributes.get("linear_before_reset", 0)),
        )


def _check(name: str, computed: Array, given: Array) -> None:
    """Raises GatecastError where our equations are not those of the operator."""
    error = float(np.max(np.abs(computed - given), initial=0.0))
    if not error <= _TOLERANCE * max(1.0, float(np.max(np.abs(given), initial=0.0))):
        raise GatecastError(f"the operator {name} does not follow the equations of its cell: off by {error:.3g}")


def _sources(graph: onnx.GraphProto, constants: dict[str, Array]) -> dict[str, bool]:
    """For every value, whether it depends on the output of a recurrent layer."""
    found = dict.fromkeys([value.name for value in graph.input] + list(constants), False)
    for node in graph.node:
        recurrent = node.op_type in _NAMES or any(found.get(name, False) for name in node.input)
        if node.op_type == "Shape":  # the size of a batch is no state
            recurrent = False
        found |= dict.fromkeys(node.output, recurrent)
    return found


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def _has_peepholes(node: NodeProto) -> bool:
    return node.op_type == "LSTM" and len(node.input) > _PEEPHOLES and bool(node.input[_PEEPHOLES])


def _cell(node: NodeProto) -> str:
    if _has_peepholes(node):
        return _PEEPHOLE
    if node.op_type == "LSTM" and _attributes(node).get("input_forget", 0):
        return _COUPLED
    return _NAMES[node.op_type]


def _first_states(node: NodeProto) -> list[str]:
    """The names of the states before the first step, "" for zeros."""
    if node.op_type == "Scan":
        return list(node.input[:2])
    return list(node.input[5 : 7 if node.op_type == "LSTM" else 6])


def _hidden(node: NodeProto) -> str:
    """The name of the hidden states at every step: of a Scan the last output, of an operator the first."""
    return str(node.output[-1 if node.op_type == "Scan" else 0])


def _shown(node: NodeProto) -> list[str]:
    """The values that a probe needs to see."""
    if node.op_type == "Scan":
        return list(node.output[-len(_SCANNED) :])
    return [node.input[0], node.output[0], *(name for name in _first_states(node) if name)]


_SCANNED: Final = ("input", "forget", "output", "cell", "hidden")


def _open_scan(node: NodeProto) -> None:
    """Let the loop of a ConvLSTM collect its gates and states at every step, too."""
    body: onnx.GraphProto = next(each.g for each in node.attribute if each.type == AttributeProto.GRAPH)
    split = next(inner for inner in body.node if inner.op_type == "Split")
    i, f, _, o = (_gate(body, name) for name in split.output)
    next_h, next_c = (value.name for value in body.output[:2])
    for name, value in zip(_SCANNED, (i, f, o, next_c, next_h), strict=True):
        shown = f"{body.output[0].name}_{name}"
        body.node.append(helper.make_node("Identity", [value], [shown], name=shown))
        body.output.append(helper.make_tensor_value_info(shown, TensorProto.FLOAT, None))
        node.output.append(f"{node.name}_{name}")
    backwards = next(list(each.ints) for each in node.attribute if each.name == "scan_input_directions")
    for each in [each for each in node.attribute if each.name == "scan_output_directions"]:
        node.attribute.remove(each)
    node.attribute.append(helper.make_attribute("scan_output_directions", backwards * (len(body.output) - 2)))


def _gate(body: onnx.GraphProto, value: str) -> str:
    """The gate that a product becomes, behind a peephole where there is one."""
    for node in body.node:
        if value in node.input:
            return str(node.output[0]) if node.op_type != "Add" else _gate(body, str(node.output[0]))
    raise ValueError(f"nothing reads {value}")


def _of_scan(node: NodeProto, found: Batch) -> list[tuple[str, CellTrace]]:
    """The gates and states of all places of a ConvLSTM, side by side."""
    names = node.output[-len(_SCANNED) :]
    values = {name: found[value].swapaxes(0, 1) for name, value in zip(_SCANNED, names, strict=True)}
    each = {name: value.reshape(*value.shape[:2], -1) for name, value in values.items()}
    backwards = next(each.ints[0] for each in node.attribute if each.name == "scan_input_directions")
    gates = {name: each[name] for name in ("forget", "input", "output")}
    states = {name: each[name] for name in ("cell", "hidden")}
    return [("backward" if backwards else "forward", CellTrace(gates, states))]
