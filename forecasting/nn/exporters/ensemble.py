"""Several graphs as one: the weighted mean of their quantiles, each reading its part of the same inputs."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import onnx

from forecasting.nn.exporters.graph import Graph
from forecasting.nn.shapes import Shapes

__all__ = ["MemberGraph", "combine"]


class MemberGraph(NamedTuple):
    """A graph with output "quantiles": (B, H, Q), or a point forecast (B, H, 1) that gets a spread (H, Q)."""

    content: bytes
    weight: float
    context: int  # the last steps that it reads
    channels: int  # the first channels that it reads
    spread: np.ndarray | None = None


def combine(parts: Sequence[MemberGraph], shapes: Shapes, quantiles: int) -> bytes:
    """The graph of the weighted mean quantiles (Vincent 1912; Genest 1992) of all parts.

    It has the inputs of `shapes` that some part reads, by their usual names, and the output "quantiles" (B, H, Q).
    Weights are used as they are given.
    """
    graph, models = Graph(), [onnx.load_from_string(part.content) for part in parts]
    read = {value.name for model in models for value in model.graph.input}
    sizes = {
        "past": (None, shapes.context, shapes.past),
        "future": (None, shapes.horizon, shapes.future),
        "static": (None, shapes.static),
        "codes": (None, len(shapes.codes)),
    }
    kinds = {"codes": "int32"}
    inputs = {name: graph.input(name, sizes[name], kinds.get(name, "float32")) for name in sizes if name in read}
    total = ""
    for number, (part, model) in enumerate(zip(parts, models, strict=True)):
        given = {**inputs, "past": _past(graph, inputs["past"], part, shapes)}
        found = graph.inline(model, given, prefix=f"member_{number}_")["quantiles"]
        if part.spread is not None:
            found = graph.add("Add", found, graph.constant(part.spread))
        weighted = graph.add("Mul", found, graph.constant(part.weight))
        total = graph.add("Add", total, weighted) if total else weighted
    graph.output("quantiles", total, (None, shapes.horizon, quantiles))
    return bytes(graph.model().SerializeToString())


def _past(graph: Graph, past: str, part: MemberGraph, shapes: Shapes) -> str:
    """What a part reads (B, context, channels) of the whole past (B, T, D)."""
    recent = (
        past if part.context == shapes.context else graph.slice(past, 1, shapes.context - part.context, shapes.context)
    )
    return recent if part.channels == shapes.past else graph.slice(recent, 2, 0, part.channels)
