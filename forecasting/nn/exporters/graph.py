"""An ONNX graph, built node by node."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnx
import onnx.compose
from onnx import TensorProto, helper, numpy_helper

from forecasting.errors import GatecastError

__all__ = ["ACTIVATIONS", "OPSET", "Graph", "onnx_activation"]

OPSET: Final = 21  # the newest that every ONNX Runtime since 1.20 runs in full
IR_VERSION: Final = 10  # that of ONNX 1.16, the release of this opset

ACTIVATIONS: Final = {"tanh": "Tanh", "relu": "Relu", "sigmoid": "Sigmoid", "softplus": "Softplus"}

Shape = Sequence[int | None]


class Graph:
    """Nodes, constants, inputs, and outputs; every value has a name.

    `shapes` holds the shape in Keras of every value that passes from layer to layer, with None for the batch.
    """

    def __init__(self, prefix: str = "") -> None:
        self.shapes: dict[str, tuple[Any, ...]] = {}
        self._prefix = prefix  # the body of a loop may not repeat names of the graph around it
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, shape: Shape, dtype: str) -> str:
        """An input, whose name is returned; the first axis, the batch, and any other that is None are dynamic."""
        name = f"{self._prefix}{name}"
        kind = TensorProto.INT32 if dtype == "int32" else TensorProto.FLOAT
        self._inputs.append(helper.make_tensor_value_info(name, kind, _axes(name, shape)))
        self.shapes[name] = tuple(shape)
        return name

    def output(self, name: str, value: str, shape: Shape) -> None:
        """Make this value an output under this name."""
        name = f"{self._prefix}{name}"
        self._nodes.append(helper.make_node("Identity", [value], [name], name=name))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, _axes(name, shape)))

    def constant(self, values: Any) -> str:
        """A constant array: integers as int64 (axes, shapes, indices), all else as float32."""
        array = np.asarray(values)
        array = array.astype(np.int64 if array.dtype.kind in "iu" else np.float32)
        name = f"{self._prefix}constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """One operator with one output, whose name is returned; an empty input name leaves that input out."""
        return self.add_many(operator, inputs, outputs=1, **attributes)[0]

    def add_many(self, operator: str, inputs: Sequence[str], *, outputs: int, **attributes: Any) -> list[str]:
        """One operator with several outputs."""
        name = f"{self._prefix}{operator.lower()}_{len(self._nodes)}"
        names = [name] if outputs == 1 else [f"{name}_{index}" for index in range(outputs)]
        self._nodes.append(helper.make_node(operator, list(inputs), names, name=name, **attributes))
        return names

    def activate(self, value: str, activation: str) -> str:
        """An element-wise activation by its Keras name; raises GatecastError for an unknown one."""
        if activation == "linear":
            return value
        return self.add(onnx_activation(activation), value)

    def slice(self, value: str, axis: int, start: int, stop: int) -> str:
        """`value[start:stop]` along one axis."""
        return self.add("Slice", value, self.constant([start]), self.constant([stop]), self.constant([axis]))

    def body(self) -> "Graph":
        """An empty graph for one step of a `scan`; it may use the values of this one."""
        return Graph(f"{self._prefix}body_{len(self._nodes)}_")

    def scan(self, body: "Graph", carried: Sequence[str], sequence: str, *, backwards: bool) -> list[str]:
        """Run a body over the first axis of a sequence: the last carried values, then the collected outputs.

        The body's inputs are the carried values and one element; its outputs are the new carried values and the
        collected ones. A backward scan reads from the end, but collects in the order of the sequence.
        """
        collected = len(body._outputs) - len(carried)
        directions = {"scan_output_directions": [int(backwards)] * collected} if collected else {}
        return self.add_many(
            "Scan",
            [*carried, sequence],
            outputs=len(body._outputs),
            body=body._proto(),
            num_scan_inputs=1,
            scan_input_directions=[int(backwards)],
            **directions,
        )

    def inline(self, model: onnx.ModelProto, inputs: Mapping[str, str], *, prefix: str) -> dict[str, str]:
        """Take over all nodes of a model, its inputs being values of this graph; its outputs by their names.

        Its own names get the prefix, which no other name here may begin with.
        """
        inner = onnx.compose.add_prefix(model, prefix).graph
        for value in inner.input:
            given = inputs[value.name.removeprefix(prefix)]
            self._nodes.append(helper.make_node("Identity", [given], [value.name], name=value.name))
        self._nodes.extend(inner.node)
        self._constants.extend(inner.initializer)
        return {value.name.removeprefix(prefix): value.name for value in inner.output}

    def model(self) -> onnx.ModelProto:
        """The checked model."""
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(self._proto(), producer_name="gatecast", opset_imports=[opset], ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model

    def _proto(self) -> onnx.GraphProto:
        return helper.make_graph(self._nodes, "gatecast", self._inputs, self._outputs, self._constants)


def onnx_activation(activation: str) -> str:
    """The ONNX operator of a Keras activation; raises GatecastError for an unknown one."""
    if activation not in ACTIVATIONS:
        raise GatecastError(f"activation {activation!r} cannot be exported; choose one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[activation]


def _axes(name: str, shape: Shape) -> list[int | str]:
    return ["batch", *(size or f"{name}_{axis}" for axis, size in enumerate(shape[1:], start=1))]
