"""Several graphs as one, the weighted mean of what each gives alone, and apart again."""

from typing import Any

import numpy as np
import onnx

from forecasting.bundle.engine import Engine
from forecasting.evaluation.baselines import Linear
from forecasting.evaluation.baselines import to_onnx as linear_graph
from forecasting.nn.export import to_onnx
from forecasting.nn.exporters.ensemble import MemberGraph, combine, separated
from forecasting.nn.shapes import Shapes

LEVELS = (0.1, 0.25, 0.5, 0.9)  # of the networks here
SHAPES = Shapes(12, 4, 3, future=2)


def test_combined_graph_gives_the_weighted_mean(network: Any, batch: Any, rng: np.random.Generator) -> None:
    """A network over the whole context, one over its end, and a point forecast of the target with a spread.

    Taken apart again, each gives what it gave alone.
    """
    arrays = batch(SHAPES)
    whole = to_onnx(network(SHAPES, units=[3], highway=12, highway_start="ridge"))
    short = to_onnx(network(SHAPES._replace(context=5), cell="gru", units=[2]))
    linear = Linear(6, rng.normal(size=(6, 4)), np.empty((0, 4)), rng.normal(size=4))
    point = linear_graph(linear, inputs=1, ahead=0)
    spread = np.sort(rng.normal(size=(4, len(LEVELS))), axis=-1).astype("float32")
    parts = [MemberGraph(whole, 0.5, 12, 3), MemberGraph(short, 0.3, 5, 3), MemberGraph(point, 0.2, 6, 1, spread)]
    together = combine(parts, SHAPES, len(LEVELS))
    found = Engine(together).run(arrays)["quantiles"]

    alone = [
        Engine(whole).run(arrays)["quantiles"],
        Engine(short).run({**arrays, "past": arrays["past"][:, -5:]})["quantiles"],
        Engine(point).run({"past": np.ascontiguousarray(arrays["past"][:, -6:, :1])})["quantiles"] + spread,
    ]
    expected = 0.5 * alone[0] + 0.3 * alone[1] + 0.2 * alone[2]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    apart = [Engine(graph).run(arrays)["quantiles"] for graph in separated(together, 3)]
    np.testing.assert_allclose(apart, alone, rtol=1e-5, atol=1e-5)


def test_a_member_leaves_the_nodes_of_the_others_behind(rng: np.random.Generator) -> None:
    """Taken apart, a graph of two linear maps is two graphs with half of its products each; one alone is itself."""
    maps = [Linear(12, rng.normal(size=(12, 4)), np.empty((0, 4)), np.zeros(4)) for _ in range(2)]
    parts = [MemberGraph(linear_graph(one, inputs=1, ahead=0), 0.5, 12, 1, np.zeros((4, 3), "float32")) for one in maps]
    found = [onnx.load_from_string(graph) for graph in separated(combine(parts, SHAPES, 3), 2)]
    assert [sum(node.op_type == "MatMul" for node in model.graph.node) for model in found] == [1, 1]
    (single,) = separated(combine(parts[:1], SHAPES, 3), 1)
    past = rng.normal(size=(2, 12, 3)).astype("float32")
    given = Engine(single).run({"past": past})["quantiles"][..., 1]
    np.testing.assert_allclose(given, past[..., 0] @ maps[0].weights, rtol=1e-5, atol=1e-5)


def test_inputs_that_no_part_reads_are_left_out(rng: np.random.Generator) -> None:
    """A mean of linear maps of the target needs nothing but the past."""
    linear = Linear(12, rng.normal(size=(12, 4)), np.empty((0, 4)), np.zeros(4))
    graph = linear_graph(linear, inputs=1, ahead=0)
    spread = np.zeros((4, 3), "float32")
    parts = [MemberGraph(graph, 0.5, 12, 1, spread), MemberGraph(graph, 0.5, 12, 1, spread)]
    assert set(Engine(combine(parts, SHAPES, 3)).inputs) == {"past"}
