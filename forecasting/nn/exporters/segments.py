"""Segments and the recurrence over them as ONNX operators; each function repeats its layer's `call`."""

from typing import Any

import numpy as np

from forecasting.nn.exporters import recurrent
from forecasting.nn.exporters.graph import Graph

__all__ = ["segments", "shared_recurrence", "steps"]


def segments(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """(B, T, D) to (B, n, w * D)."""
    _, steps, width = graph.shapes[inputs[0]]
    before, after = layer.padding(steps)
    padded = inputs[0]
    if before or after:
        padded = graph.add("Pad", padded, graph.constant([0, before, 0, 0, after, 0]))
    return graph.add("Reshape", padded, graph.constant([0, -1, layer.length * width]))


def shared_recurrence(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """[(B, n, W)] or [(B, n, W), (B, m, W)] to (B, m, U): the operator once over n steps, once over one step."""
    read, *known = inputs
    count, width = layer.positions.shape
    units = layer.layer.cell.units
    positions = graph.constant(np.asarray(layer.positions))
    whole = graph.add("Concat", graph.add("Shape", read, start=0, end=1), graph.constant([count, width]), axis=0)
    queries = graph.add("Add", known[0], positions) if known else graph.add("Expand", positions, whole)  # (B, m, W)
    queries = graph.add("Reshape", queries, graph.constant([-1, 1, width]))  # (B * m, 1, W)
    _, *states = recurrent.recurrent(graph, layer.layer, [read])
    copies = [_copies(graph, state, count, units) for state in states]
    answer, *_ = recurrent.recurrent(graph, layer.layer, [queries, *copies])
    return graph.add("Reshape", answer, graph.constant([-1, count, units]))


def steps(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """(B, m, w * W) to (B, H, W)."""
    joined = graph.add("Reshape", inputs[0], graph.constant([0, -1, layer.width]))
    return graph.slice(joined, 1, 0, layer.count)


def _copies(graph: Graph, state: str, count: int, units: int) -> str:
    """(B, U) to (B * m, U), each row m times in a row."""
    repeated = graph.add("Expand", graph.add("Unsqueeze", state, graph.constant([1])), graph.constant([1, count, 1]))
    return graph.add("Reshape", repeated, graph.constant([-1, units]))
