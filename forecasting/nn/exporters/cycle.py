"""The learned cycle as ONNX operators; each function repeats its layer's `call` line by line."""

from typing import Any

from forecasting.nn.exporters.graph import Graph

__all__ = ["known_past", "moved"]


def known_past(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """(B, T, D) to (B, T, F)."""
    stop = graph.shapes[inputs[0]][-1] - layer.mask
    return graph.slice(inputs[0], 2, stop - layer.known, stop)


def moved(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """[(B, steps, channels), (B, steps, 1)] to (B, steps, channels)."""
    values, cycle = inputs
    first = graph.add("Add" if layer.sign > 0 else "Sub", graph.slice(values, 2, 0, 1), cycle)
    return graph.add("Concat", first, graph.slice(values, 2, 1, graph.shapes[values][-1]), axis=2)
