"""Vectors of categories as ONNX operators, `CodeEmbedding.call` line by line."""

from typing import Any

import numpy as np

from forecasting.nn.exporters.graph import Graph

__all__ = ["code_embedding"]


def code_embedding(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """(B, K) to (B, K * width)."""
    codes = graph.add("Cast", inputs[0], to=7)  # int64
    zero = graph.constant(0)
    least = graph.add("GreaterOrEqual", codes, zero)
    known = graph.add("And", least, graph.add("Less", codes, graph.constant(layer.cardinalities)))
    rows = graph.add("Add", graph.add("Where", known, codes, zero), graph.constant(layer.offsets))
    vectors = graph.add("Gather", graph.constant(np.asarray(layer.get_weights()[0])), rows, axis=0)
    return graph.add("Reshape", vectors, graph.constant([0, len(layer.cardinalities) * layer.width]))
