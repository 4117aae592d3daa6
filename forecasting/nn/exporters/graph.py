"""An ONNX graph that grows node by node."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from forecasting.errors import GatecastError

__all__ = ["ACTIVATIONS", "OPSET", "Graph"]

OPSET: Final = 21  # the newest that every ONNX Runtime since 1.20 runs in full
IR_VERSION: Final = 10  # that of ONNX 1.16, the release of this opset

ACTIVATIONS: Final = {"tanh": "Tanh", "relu": "Relu", "sigmoid": "Sigmoid", "softplus": "Softplus"}


class Graph:
    """Nodes, constants and inputs of a model; every value is known by its name."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, shape: Sequence[int | None], dtype: str) -> str:
        """An input whose first axis, the batch, is dynamic."""
        kind = TensorProto.INT32 if dtype == "int32" else TensorProto.FLOAT
        self._inputs.append(helper.make_tensor_value_info(name, kind, ["batch", *shape[1:]]))
        return name

    def constant(self, values: Any) -> str:
        """An array: integers as int64 (axes, shapes, indices), all else as float32."""
        array = np.asarray(values)
        array = array.astype(np.int64 if array.dtype.kind in "iu" else np.float32)
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """One operator with one output, whose name is returned; an empty input name leaves that input out."""
        return self.add_many(operator, inputs, outputs=1, **attributes)[0]

    def add_many(self, operator: str, inputs: Sequence[str], *, outputs: int, **attributes: Any) -> list[str]:
        """One operator with several outputs."""
        name = f"{operator.lower()}_{len(self._nodes)}"
        names = [name] if outputs == 1 else [f"{name}_{index}" for index in range(outputs)]
        self._nodes.append(helper.make_node(operator, list(inputs), names, name=name, **attributes))
        return names

    def activate(self, value: str, activation: str) -> str:
        """An element-wise activation by its Keras name; raises GatecastError for one that is not known."""
        if activation == "linear":
            return value
        return self.add(onnx_activation(activation), value)

    def slice(self, value: str, axis: int, start: int, stop: int) -> str:
        """`value[start:stop]` along one axis."""
        return self.add("Slice", value, self.constant([start]), self.constant([stop]), self.constant([axis]))

    def model(self, output: str, name: str, shape: Sequence[int | None]) -> onnx.ModelProto:
        """The checked model whose only output is the value `output`, called `name`."""
        self._nodes.append(helper.make_node("Identity", [output], [name], name=name))
        result = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape[1:]])
        graph = helper.make_graph(self._nodes, "gatecast", self._inputs, [result], self._constants)
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, producer_name="gatecast", opset_imports=[opset], ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model


def onnx_activation(activation: str) -> str:
    """The ONNX operator of a Keras activation; raises GatecastError for one that is not known."""
    if activation not in ACTIVATIONS:
        raise GatecastError(f"activation {activation!r} has no ONNX form here; known: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[activation]
