"""The learned cycle as ONNX operators; each function repeats its layer's `call` line by line."""

from typing import Any

from forecasting.nn.exporters.graph import Graph

__all__ = ["known_past", "with_cycle", "without_cycle"]


def known_past(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """(B, T, D) to (B, T, F)."""
    stop = graph.shapes[inputs[0]][-1] - layer.mask
    return graph.slice(inputs[0], 2, stop - layer.known, stop)


def without_cycle(graph: Graph, _layer: Any, inputs: list[str]) -> str:
    """[(B, T, D), (B, T, 1)] to (B, T, D)."""
    past, cycle = inputs
    target = graph.add("Sub", graph.slice(past, 2, 0, 1), cycle)
    return graph.add("Concat", target, graph.slice(past, 2, 1, graph.shapes[past][-1]), axis=2)


def with_cycle(graph: Graph, _layer: Any, inputs: list[str]) -> str:
    """[(B, H, 2), (B, H, 1)] to (B, H, 2)."""
    loc_scale, cycle = inputs
    location = graph.add("Add", graph.slice(loc_scale, 2, 0, 1), cycle)
    return graph.add("Concat", location, graph.slice(loc_scale, 2, 1, 2), axis=2)
