"""In-window normalization as ONNX operators; each function repeats its layer's `call` line by line."""

from typing import Any

import numpy as np

from forecasting.nn.exporters.graph import Graph
from forecasting.nn.layers.reversible_norm import FLOOR

__all__ = ["denormalise", "location_scale", "normalise"]


def location_scale(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """(B, T, *grid, D) to (B, *grid, 2)."""
    _, steps, *grid, channels = graph.shapes[inputs[0]]
    target = _channel(graph, inputs[0], 0)  # (B, T, *grid)
    if layer.method == "none":
        zero = graph.add("Mul", graph.slice(target, 1, 0, 1), graph.constant(0.0))
        return _loc_scale(graph, zero, graph.add("Add", zero, graph.constant(1.0)))
    shape = (steps, *(1 for _ in grid))
    weight = _channel(graph, inputs[0], channels - 1) if layer.mask else graph.constant(np.ones((1, *shape)))
    count = _sum(graph, weight)  # (B, 1, *grid)
    divisor = graph.add("Max", count, graph.constant(1.0))
    if layer.method == "scale":
        size = graph.add("Div", _sum(graph, graph.add("Mul", graph.add("Abs", target), weight)), divisor)
        size = graph.add("Max", size, graph.constant(FLOOR**0.5))
        scale = graph.add("Where", graph.add("Greater", count, graph.constant(0.0)), size, graph.constant(1.0))
        return _loc_scale(graph, graph.add("Mul", size, graph.constant(0.0)), scale)
    mean = graph.add("Div", _sum(graph, graph.add("Mul", target, weight)), divisor)
    error = graph.add("Sub", target, mean)
    squares = _sum(graph, graph.add("Mul", graph.add("Mul", error, error), weight))
    variance = graph.add("Max", graph.add("Div", squares, divisor), graph.constant(FLOOR))
    several = graph.add("Greater", count, graph.constant(1.0))
    scale = graph.add("Where", several, graph.add("Sqrt", variance), graph.constant(1.0))
    location = mean if layer.method == "window" else _last(graph, target, weight, shape)
    return _loc_scale(graph, location, scale)


def normalise(graph: Graph, _layer: Any, inputs: list[str]) -> str:
    """[(B, T, *grid, D), (B, *grid, 2)] to (B, T, *grid, D)."""
    past, loc_scale = inputs
    axis, channels = len(graph.shapes[past]) - 1, graph.shapes[past][-1]
    loc_scale = graph.add("Unsqueeze", loc_scale, graph.constant([1]))
    error = graph.add("Sub", graph.slice(past, axis, 0, 1), graph.slice(loc_scale, axis, 0, 1))
    target = graph.add("Div", error, graph.slice(loc_scale, axis, 1, 2))
    return target if channels == 1 else graph.add("Concat", target, graph.slice(past, axis, 1, channels), axis=axis)


def denormalise(graph: Graph, values: str, loc_scale: str) -> str:
    """Values (B, M, Q) times scale plus location of loc_scale (B, M, 2)."""
    scaled = graph.add("Mul", values, graph.slice(loc_scale, 2, 1, 2))
    return graph.add("Add", scaled, graph.slice(loc_scale, 2, 0, 1))


def _channel(graph: Graph, past: str, channel: int) -> str:
    """One channel (B, T, *grid) of (B, T, *grid, D)."""
    axis = len(graph.shapes[past]) - 1
    return graph.add("Squeeze", graph.slice(past, axis, channel, channel + 1), graph.constant([axis]))


def _loc_scale(graph: Graph, location: str, scale: str) -> str:
    """Location and scale (B, 1, *grid) as (B, *grid, 2)."""
    parts = [graph.add("Unsqueeze", part, graph.constant([-1])) for part in (location, scale)]
    return graph.add("Squeeze", graph.add("Concat", *parts, axis=-1), graph.constant([1]))


def _last(graph: Graph, target: str, weight: str, shape: tuple[int, ...]) -> str:
    position = graph.add("Mul", weight, graph.constant(np.arange(1.0, shape[0] + 1.0).reshape(1, *shape)))
    latest = graph.add("ReduceMax", position, graph.constant([1]), keepdims=1)
    chosen = graph.add("Mul", graph.add("Cast", graph.add("Equal", position, latest), to=1), weight)
    return _sum(graph, graph.add("Mul", target, chosen))


def _sum(graph: Graph, value: str) -> str:
    """Over the steps: (B, T, *grid) to (B, 1, *grid)."""
    return graph.add("ReduceSum", value, graph.constant([1]), keepdims=1)
