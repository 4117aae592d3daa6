"""Layers of step-by-step networks as ONNX operators; each function repeats its layer's `call`."""

from typing import Any

import numpy as np

from forecasting.nn.exporters.graph import Graph

__all__ = ["attention", "held", "lagged"]


def attention(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """[(B, M, U), (B, T, E)] to (B, M, U)."""
    states, encoded = inputs
    score, kernel, bias = (graph.constant(np.asarray(part)) for part in (layer.score, layer.kernel, layer.bias))
    keys = graph.add("Transpose", encoded, perm=[0, 2, 1])
    scores = graph.add("MatMul", graph.add("MatMul", states, score), keys)
    seen = graph.add("MatMul", graph.add("Softmax", scores, axis=-1), encoded)
    mixed = graph.add("MatMul", graph.add("Concat", seen, states, axis=-1), kernel)
    return graph.add("Tanh", graph.add("Add", mixed, bias))


def lagged(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """(B, T, D) to (B, T - 1, D)."""
    _, count, width = graph.shapes[inputs[0]]
    parts = []
    for start, stop, row in layer.ranges(width):
        channels = graph.slice(inputs[0], 2, start, stop)
        parts.append(graph.slice(channels, 1, row, row + count - 1))
    return parts[0] if len(parts) == 1 else graph.add("Concat", *parts, axis=-1)


def held(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """(B, T, D) to (B, P)."""
    _, count, width = graph.shapes[inputs[0]]
    row = graph.slice(inputs[0], 1, count - 1, count)
    parts = [graph.slice(row, 2, 1, layer.stop(width))] if layer.stop(width) > 1 else []
    if layer.mask:
        nothing = graph.add("Mul", graph.slice(row, 2, width - 1, width), graph.constant(0.0))
        parts.append(graph.add("Add", nothing, graph.constant(1.0)))
    joined = parts[0] if len(parts) == 1 else graph.add("Concat", *parts, axis=-1)
    return graph.add("Squeeze", joined, graph.constant([1]))
