"""Heads as ONNX operators; each function repeats its head's `parameters` line by line."""

from typing import Any

import numpy as np

from forecasting.nn.exporters.graph import Graph
from forecasting.nn.exporters.reversible_norm import denormalise
from forecasting.nn.heads import negative_binomial as counts
from forecasting.nn.heads import normal, student_t

__all__ = ["categorical_head", "negative_binomial_head", "normal_head", "quantile_head", "student_t_head"]


def quantile_head(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """[(B, M, W), (B, M, 2)] to (B, M, Q)."""
    raw, loc_scale = _raw(graph, layer, inputs[0]), inputs[1]
    steps = graph.add("Softplus", raw)
    axis = graph.constant(2)
    median = graph.slice(raw, 2, layer.anchor, layer.anchor + 1)
    parts = [median]
    if layer.anchor:
        down = graph.add("CumSum", graph.slice(steps, 2, 0, layer.anchor), axis, reverse=1)
        parts.insert(0, graph.add("Sub", median, down))
    if layer.anchor + 1 < len(layer.levels):
        up = graph.add("CumSum", graph.slice(steps, 2, layer.anchor + 1, len(layer.levels)), axis)
        parts.append(graph.add("Add", median, up))
    return denormalise(graph, graph.add("Concat", *parts, axis=2), loc_scale)


def normal_head(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """[(B, M, W), (B, M, 2)] to (B, M, 2)."""
    raw, loc_scale = _raw(graph, layer, inputs[0]), inputs[1]
    location = denormalise(graph, graph.slice(raw, 2, 0, 1), loc_scale)
    return graph.add("Concat", location, _scale(graph, graph.slice(raw, 2, 1, 2), loc_scale, normal.FLOOR), axis=2)


def student_t_head(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """[(B, M, W), (B, M, 2)] to (B, M, 3)."""
    raw, loc_scale = _raw(graph, layer, inputs[0]), inputs[1]
    degrees = _positive(graph, graph.slice(raw, 2, 0, 1), student_t.FLOOR)
    degrees = graph.add("Add", degrees, graph.constant(student_t.LEAST_DF))
    location = denormalise(graph, graph.slice(raw, 2, 1, 2), loc_scale)
    scale = _scale(graph, graph.slice(raw, 2, 2, 3), loc_scale, student_t.FLOOR)
    return graph.add("Concat", degrees, location, scale, axis=2)


def negative_binomial_head(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """[(B, M, W), (B, M, 2)] to (B, M, 2)."""
    raw, loc_scale = _raw(graph, layer, inputs[0]), inputs[1]
    width = graph.add("Add", graph.slice(loc_scale, 2, 1, 2), graph.constant(1.0))
    level = graph.add("Div", graph.slice(loc_scale, 2, 0, 1), width)
    mean = graph.add("Mul", width, graph.add("Softplus", graph.add("Add", graph.slice(raw, 2, 0, 1), level)))
    mean = graph.add("Add", mean, graph.constant(counts.FLOOR))
    share = graph.add("Div", width, graph.add("Add", width, mean))
    spread = graph.add("Softplus", graph.slice(raw, 2, 1, 2))
    dispersion = graph.add("Mul", spread, graph.add("Mul", share, share))
    return graph.add("Concat", mean, graph.add("Add", dispersion, graph.constant(counts.FLOOR)), axis=2)


def categorical_head(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """[(B, M, W), (B, M, 2)] to (B, M, V)."""
    return _raw(graph, layer, inputs[0])


def _raw(graph: Graph, layer: Any, features: str) -> str:
    kernel, bias = (graph.constant(np.asarray(part)) for part in layer.get_weights())
    return graph.add("Add", graph.add("MatMul", features, kernel), bias)


def _positive(graph: Graph, raw: str, floor: float) -> str:
    return graph.add("Add", graph.add("Softplus", raw), graph.constant(floor))


def _scale(graph: Graph, raw: str, loc_scale: str, floor: float) -> str:
    return graph.add("Mul", _positive(graph, raw, floor), graph.slice(loc_scale, 2, 1, 2))
