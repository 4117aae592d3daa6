"""Patches, places and copies of frames as ONNX operators; each function repeats its layer's `call`."""

from typing import Any

from forecasting.nn.exporters.graph import Graph

__all__ = ["every_place", "every_step", "last_step", "patches", "places"]


def patches(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """(B, T, *grid, D) to (B, T, *cut, p^k * D)."""
    lacking, split, order, joined = layer.plan(graph.shapes[inputs[0]])
    value = inputs[0]
    if any(lacking):
        value = graph.add("Pad", value, graph.constant([0] * (len(lacking) + 3) + [0, 0, *lacking, 0]))
    return _reordered(graph, value, split, order, joined)


def places(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """(B, H, *cut, p^k * W) to (B, M, W)."""
    split, order, whole, width = layer.plan(graph.shapes[inputs[0]])
    value = _reordered(graph, inputs[0], split, order, whole)
    for axis, (size, present) in enumerate(zip(layer.grid, whole[1:-1], strict=True), start=2):
        if size != present:
            value = graph.slice(value, axis, 0, size)
    return graph.add("Reshape", value, graph.constant([-1, layer.count(graph.shapes[inputs[0]]), width]))


def every_step(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """(B, *grid, D) to (B, count, *grid, D)."""
    _, *rest = graph.shapes[inputs[0]]
    single = graph.add("Unsqueeze", inputs[0], graph.constant([1]))
    return graph.add("Expand", single, graph.constant([1, layer.count, *([1] * len(rest))]))


def every_place(graph: Graph, layer: Any, inputs: list[str]) -> str:
    """(B, H, F) to (B, H, *grid, F)."""
    axes = list(range(2, 2 + len(layer.grid)))
    single = graph.add("Unsqueeze", inputs[0], graph.constant(axes))
    return graph.add("Expand", single, graph.constant([1, 1, *layer.grid, 1]))


def last_step(graph: Graph, _layer: Any, inputs: list[str]) -> str:
    """(B, T, *grid, D) to its last step (B, *grid, D)."""
    newest = graph.add("Gather", inputs[0], graph.constant([-1]), axis=1)
    return graph.add("Squeeze", newest, graph.constant([1]))


def _reordered(graph: Graph, value: str, split: list[int], order: list[int], joined: list[int]) -> str:
    apart = graph.add("Transpose", graph.add("Reshape", value, graph.constant([-1, *split])), perm=order)
    return graph.add("Reshape", apart, graph.constant([-1, *joined]))
