"""The linear path beside a network as ONNX operators; each function repeats its layer's `call` line by line."""

from typing import Any

import numpy as np

from forecasting.nn.exporters.graph import Graph
from forecasting.nn.exporters.reversible_norm import denormalise

__all__ = ["highway", "wide_highway"]


def highway(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """[(B, T, D), (B, H, 2)] to (B, H, 2)."""
    past, loc_scale = inputs
    lags = graph.add("Squeeze", graph.slice(_recent(graph, layer, past), 2, 0, 1), graph.constant([2]))
    shift = _product(graph, lags, layer.kernel)
    shift = graph.add("Add", shift, graph.constant(np.asarray(layer.bias)))
    return graph.add("Concat", _location(graph, shift, loc_scale), graph.slice(loc_scale, 2, 1, 2), axis=2)


def wide_highway(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """[(B, T, D), (B, H, 2)] and, where something is known ahead, (B, H, F) to (B, H, 2)."""
    past, loc_scale, *ahead = inputs
    shift = _product(graph, graph.add("Flatten", _recent(graph, layer, past)), layer.kernel)
    shift = graph.add("Add", shift, graph.constant(np.asarray(layer.bias)))
    for future in ahead:
        shift = graph.add("Add", shift, _product(graph, graph.add("Flatten", future), layer.ahead_kernel))
    spread = graph.constant(np.exp(np.asarray(layer.log_spread))[:, None])  # (H, 1)
    scale = graph.add("Mul", graph.slice(loc_scale, 2, 1, 2), spread)
    return graph.add("Concat", _location(graph, shift, loc_scale), scale, axis=2)


def _recent(graph: Graph, layer: Any, past: str) -> str:
    """The last steps (B, steps, D) of the context."""
    steps = graph.shapes[past][1]
    return graph.slice(past, 1, steps - layer.steps, steps)


def _product(graph: Graph, values: str, kernel: Any) -> str:
    return graph.add("MatMul", values, graph.constant(np.asarray(kernel)))


def _location(graph: Graph, shift: str, loc_scale: str) -> str:
    """Shifts (B, H) as locations (B, H, 1)."""
    return denormalise(graph, graph.add("Unsqueeze", shift, graph.constant([2])), loc_scale)
