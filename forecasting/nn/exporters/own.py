"""Gatecast's own layers as ONNX operators; each function repeats its layer's `call` line by line."""

from typing import Any

import numpy as np

from forecasting.nn.exporters.graph import Graph
from forecasting.nn.layers.reversible_norm import FLOOR

__all__ = ["code_embedding", "denormalise", "highway", "normalise", "window_frame"]


def window_frame(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """(B, T, *grid, D) to (B, *grid, 2)."""
    _, steps, *grid, channels = graph.shapes[inputs[0]]
    target = _channel(graph, inputs[0], 0)  # (B, T, *grid)
    if layer.method == "none":
        zero = graph.add("Mul", graph.slice(target, 1, 0, 1), graph.constant(0.0))
        return _frame(graph, zero, graph.add("Add", zero, graph.constant(1.0)))
    shape = (steps, *(1 for _ in grid))
    weight = _channel(graph, inputs[0], channels - 1) if layer.mask else graph.constant(np.ones((1, *shape)))
    count = _sum(graph, weight)  # (B, 1, *grid)
    divisor = graph.add("Max", count, graph.constant(1.0))
    if layer.method == "scale":
        size = graph.add("Div", _sum(graph, graph.add("Mul", graph.add("Abs", target), weight)), divisor)
        size = graph.add("Max", size, graph.constant(FLOOR**0.5))
        scale = graph.add("Where", graph.add("Greater", count, graph.constant(0.0)), size, graph.constant(1.0))
        return _frame(graph, graph.add("Mul", size, graph.constant(0.0)), scale)
    mean = graph.add("Div", _sum(graph, graph.add("Mul", target, weight)), divisor)
    error = graph.add("Sub", target, mean)
    squares = _sum(graph, graph.add("Mul", graph.add("Mul", error, error), weight))
    variance = graph.add("Max", graph.add("Div", squares, divisor), graph.constant(FLOOR))
    several = graph.add("Greater", count, graph.constant(1.0))
    scale = graph.add("Where", several, graph.add("Sqrt", variance), graph.constant(1.0))
    location = mean if layer.method == "window" else _last(graph, target, weight, shape)
    return _frame(graph, location, scale)


def normalise(graph: Graph, _layer: Any, inputs: list[str]) -> str:
    """[(B, T, *grid, D), (B, *grid, 2)] to (B, T, *grid, D)."""
    past, frame = inputs
    axis, channels = len(graph.shapes[past]) - 1, graph.shapes[past][-1]
    frame = graph.add("Unsqueeze", frame, graph.constant([1]))
    error = graph.add("Sub", graph.slice(past, axis, 0, 1), graph.slice(frame, axis, 0, 1))
    target = graph.add("Div", error, graph.slice(frame, axis, 1, 2))
    return target if channels == 1 else graph.add("Concat", target, graph.slice(past, axis, 1, channels), axis=axis)


def highway(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """[(B, T, D), (B, H, 2)] to (B, H, 2)."""
    past, frame = inputs
    steps = graph.shapes[past][1]
    recent = graph.slice(graph.slice(past, 2, 0, 1), 1, steps - layer.steps, steps)  # (B, k, 1)
    kernel, bias = (graph.constant(np.asarray(part)) for part in layer.get_weights())
    lags = graph.add("Squeeze", recent, graph.constant([2]))
    shift = graph.add("Unsqueeze", graph.add("Add", graph.add("MatMul", lags, kernel), bias), graph.constant([2]))
    return graph.add("Concat", denormalise(graph, shift, frame), graph.slice(frame, 2, 1, 2), axis=2)


def code_embedding(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """(B, K) to (B, K * width)."""
    codes = graph.add("Cast", inputs[0], to=7)  # int64
    zero = graph.constant(0)
    least = graph.add("GreaterOrEqual", codes, zero)
    known = graph.add("And", least, graph.add("Less", codes, graph.constant(layer.cardinalities)))
    rows = graph.add("Add", graph.add("Where", known, codes, zero), graph.constant(layer.offsets))
    vectors = graph.add("Gather", graph.constant(np.asarray(layer.get_weights()[0])), rows, axis=0)
    return graph.add("Reshape", vectors, graph.constant([0, len(layer.cardinalities) * layer.width]))


def denormalise(graph: Graph, values: str, frame: str) -> str:
    """Values (B, N, Q) out of their frame (B, N, 2)."""
    scaled = graph.add("Mul", values, graph.slice(frame, 2, 1, 2))
    return graph.add("Add", scaled, graph.slice(frame, 2, 0, 1))


def _channel(graph: Graph, past: str, channel: int) -> str:
    """One channel (B, T, *grid) of (B, T, *grid, D)."""
    axis = len(graph.shapes[past]) - 1
    return graph.add("Squeeze", graph.slice(past, axis, channel, channel + 1), graph.constant([axis]))


def _frame(graph: Graph, location: str, scale: str) -> str:
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
