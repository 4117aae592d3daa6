"""The linear path beside a network as ONNX operators, `Highway.call` line by line."""

from typing import Any

import numpy as np

from forecasting.nn.exporters.graph import Graph
from forecasting.nn.exporters.reversible_norm import denormalise

__all__ = ["highway"]


def highway(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """[(B, T, D), (B, H, 2)] to (B, H, 2)."""
    past, loc_scale = inputs
    steps = graph.shapes[past][1]
    recent = graph.slice(graph.slice(past, 2, 0, 1), 1, steps - layer.steps, steps)  # (B, k, 1)
    kernel, bias = (graph.constant(np.asarray(part)) for part in layer.get_weights())
    lags = graph.add("Squeeze", recent, graph.constant([2]))
    shift = graph.add("Unsqueeze", graph.add("Add", graph.add("MatMul", lags, kernel), bias), graph.constant([2]))
    return graph.add("Concat", denormalise(graph, shift, loc_scale), graph.slice(loc_scale, 2, 1, 2), axis=2)
