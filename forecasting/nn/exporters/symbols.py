"""The layers of many-to-many networks, as ONNX operators."""

from typing import Any

from forecasting.nn.exporters.graph import Graph

__all__ = ["unscaled"]


def unscaled(graph: Graph, _layer: Any, inputs: list[str]) -> str:
    """(B, M, W) to (B, M, 2)."""
    zero = graph.add("Mul", graph.slice(inputs[0], 2, 0, 1), graph.constant(0.0))
    return graph.add("Concat", zero, graph.add("Add", zero, graph.constant(1.0)), axis=2)
