"""Several graphs as one: the weighted mean of their quantiles, each reading its part of the same inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import onnx

from forecasting.nn.exporters.graph import Graph

if TYPE_CHECKING:  # it would load Keras, and graphs are taken apart without it
    from forecasting.nn.shapes import Shapes

__all__ = ["MemberGraph", "combine", "separated"]


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


def separated(content: bytes, members: int) -> list[bytes]:
    """The graphs of the members that `combine` has put into one, each with its own "quantiles", unweighted."""
    model = onnx.load_from_string(content)
    makers = {name: node for node in model.graph.node for name in node.output}
    total, weighted = makers["quantiles"].input[0], []
    for _ in range(members - 1):
        total, last = makers[total].input
        weighted.append(last)
    return [_only(model, makers[value].input[0]) for value in (total, *reversed(weighted))]


def _only(model: onnx.ModelProto, value: str) -> bytes:
    """The graph that gives this value as its "quantiles", without the nodes that it does not need."""
    alone = onnx.ModelProto()
    alone.CopyFrom(model)
    del alone.graph.node[:]
    needed, nodes = {value}, []
    for node in reversed(model.graph.node[:-1]):
        if needed & set(node.output):
            nodes.append(node)
            needed.update(_read(node))
    alone.graph.node.extend(reversed(nodes))
    alone.graph.node.append(onnx.helper.make_node("Identity", [value], ["quantiles"], name="quantiles"))
    return bytes(alone.SerializeToString())


def _read(node: onnx.NodeProto) -> Iterator[str]:
    """The values that a node reads, those in the bodies of loops included."""
    yield from node.input
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from _read(inner)


def _past(graph: Graph, past: str, part: MemberGraph, shapes: Shapes) -> str:
    """What a part reads (B, context, channels) of the whole past (B, T, D)."""
    recent = (
        past if part.context == shapes.context else graph.slice(past, 1, shapes.context - part.context, shapes.context)
    )
    return recent if part.channels == shapes.past else graph.slice(recent, 2, 0, part.channels)
