"""Keras's own layers without recurrence, as ONNX operators."""

from typing import Any

import numpy as np

from forecasting.nn.exporters.graph import Graph

__all__ = ["concatenate", "dense", "embedding", "identity", "permute", "repeat_steps", "repeat_vector", "reshape"]


def dense(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """activation(x W + b) over the last axis."""
    weights = [graph.constant(np.asarray(part)) for part in layer.get_weights()]
    value = graph.add("MatMul", inputs[0], weights[0])
    if layer.use_bias:
        value = graph.add("Add", value, weights[1])
    return graph.activate(value, layer.activation.__name__)


def concatenate(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """Inputs side by side along the layer's axis."""
    return graph.add("Concat", *inputs, axis=layer.axis)


def embedding(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """Rows of a table."""
    return graph.add("Gather", graph.constant(np.asarray(layer.get_weights()[0])), inputs[0], axis=0)


def identity(_graph: Graph, _layer: Any, inputs: list[str]) -> str:
    """A layer that only acts in training: its input."""
    return inputs[0]


def permute(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """All axes but the batch in another order."""
    return graph.add("Transpose", inputs[0], perm=[0, *layer.dims])


def repeat_steps(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """(B, T, D) to (B, n*T, D), every step n times in a row."""
    _, _, channels = graph.shapes[inputs[0]]
    column = graph.add("Unsqueeze", inputs[0], graph.constant([2]))  # (B, T, 1, D)
    repeated = graph.add("Expand", column, graph.constant([1, 1, layer.size, 1]))
    return graph.add("Reshape", repeated, graph.constant([0, -1, channels]))


def repeat_vector(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """(B, U) to (B, n, U)."""
    column = graph.add("Unsqueeze", inputs[0], graph.constant([1]))
    return graph.add("Expand", column, graph.constant([1, layer.n, 1]))


def reshape(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """All axes but the batch get the layer's target shape."""
    return graph.add("Reshape", inputs[0], graph.constant([0, *layer.target_shape]), allowzero=0)
