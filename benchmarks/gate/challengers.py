"""Challengers of known quality for the gate: linear models that are perturbed, and faults planted on purpose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto, helper, numpy_helper

from forecasting.bundle.artifact import Origin, open_bundle, read_graphs, write
from forecasting.bundle.assemble import assemble, spec_for
from forecasting.bundle.calibration import Calibration
from forecasting.bundle.engine import Graphs
from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.job import parse_job
from forecasting.evaluation import baselines
from forecasting.evaluation.baselines import Linear
from forecasting.series.folds import Fold, folds
from forecasting.series.prepare import Prepared, prepare

__all__ = ["JOB", "PLANTED", "SEEN", "World", "make_table", "make_world", "perturbed"]

SEEN, HIDDEN = 1_500, 6_000  # hours that the job knows, and those after them that tell the truth
SERIES = 4
JOB: Final = parse_job(
    {
        "name": "siege",
        "source": {"kind": "synthetic"},
        "series": {"freq": "h"},
        "window": {"context": 48, "horizon": 12},
        "backtest": {"windows": 80, "step": 4},
        "gate": {"baselines": ["naive", "seasonal_naive"], "max_latency_ms": 10.0, "max_size_mb": 2.0},
    }
)


class World(NamedTuple):
    """What a run knows, and how it learns."""

    table: pd.DataFrame  # known and hidden
    known: pd.DataFrame
    folds: tuple[Fold, ...]
    data: Prepared
    best: Linear  # the ridge; nothing linear is much better


def make_table(seed: int) -> pd.DataFrame:
    """Series with a daily wave, a slow one, and an autoregressive disturbance, known and hidden hours together."""
    draw, hours = np.random.default_rng(seed), np.arange(SEEN + HIDDEN)
    stamps = pd.date_range("2020-01-01", periods=len(hours), freq="h", unit="us")
    tables = []
    for number in range(SERIES):
        shocks, disturbance = draw.normal(0, 1, len(hours)), np.zeros(len(hours))
        for hour in range(1, len(hours)):
            disturbance[hour] = 0.9 * disturbance[hour - 1] + shocks[hour]
        waves = 4 * np.sin(2 * np.pi * hours / 24 + number) + 2 * np.sin(2 * np.pi * hours / 168)
        name = pd.array([f"s{number}"] * len(hours), dtype="str")
        tables.append(pd.DataFrame({UNIQUE_ID: name, DS: stamps, Y: 30 + waves + disturbance}))
    return pd.concat(tables, ignore_index=True)


def make_world(seed: int) -> World:
    """One seeded world, with the ridge fitted on its first fold."""
    table = make_table(seed)
    known = table[table.groupby(UNIQUE_ID).cumcount() < SEEN].reset_index(drop=True)
    cut = folds(known, JOB)
    data = prepare(known, JOB, cut[0])
    return World(
        known=known, table=table, folds=cut, data=data, best=baselines.ridge(baselines.Fit(data.train, data.valid, 24))
    )


def perturbed(world: World, place: Path, *, noise: float, seed: int) -> Path:
    """The ridge with weights that are off at random: the more noise, the worse."""
    draw = np.random.default_rng(seed)
    off = draw.normal(0, noise / np.sqrt(JOB.window.context), world.best.weights.shape)
    return _bundle(world, world.best._replace(weights=world.best.weights + off), place)


def shuffled(world: World, place: Path, seed: int) -> Path:
    """Fitted to targets of other windows."""
    inputs, y = _design(world.data)
    order = np.random.default_rng(seed).permutation(len(y))
    return _bundle(world, _least_squares(inputs, y[order]), place)


def leaky(world: World, place: Path, seed: int) -> Path:
    """Fitted with the future in the place of the last reading: splendid in training, never seen again."""
    inputs, y = _design(world.data)
    inputs = inputs.copy()
    inputs[:, -1] = y.mean(axis=1) + np.random.default_rng(seed).normal(0, 0.05, len(y))
    inputs[:, :-1] *= 0.0
    return _bundle(world, _least_squares(inputs, y), place)


def knows_the_backtest(world: World, place: Path, seed: int) -> Path:
    """Fitted, without any penalty, on the very windows that it is judged on."""
    end = world.folds[0].cutoffs[-1] + pd.Timedelta(hours=JOB.window.horizon)
    fold = Fold(end - pd.Timedelta(hours=60), end, world.folds[0].cutoffs)
    data = prepare(world.known, JOB, fold)
    inputs, y = _design(data)
    last = slice(-80 - seed % 7, None)
    linear = _least_squares(inputs[last], y[last], penalty=1e-6)
    return _bundle(world, linear, place, origin=Origin(fit_until=fold.fit_until, seen_until=fold.seen_until))


def constant(world: World, place: Path, seed: int) -> Path:
    """The mean, always."""
    draw = np.random.default_rng(seed)
    weights = np.zeros_like(world.best.weights)
    return _bundle(world, world.best._replace(weights=weights, bias=draw.normal(0, 0.1, JOB.window.horizon)), place)


def not_a_number(world: World, place: Path, seed: int) -> Path:
    """The ridge, but for NaN where a reading is exceptionally high."""
    judged = world.known[world.known[DS] > world.folds[0].seen_until]
    scaler = world.data.scaler
    location, scale = scaler.of(judged[UNIQUE_ID])
    highest = float(scaler.apply(judged[Y].to_numpy(), location, scale).max())
    graph = onnx.load_from_string(_graph(world.best))
    _add(graph, "limit", np.array(highest - 0.02 * (1 + seed % 10), np.float32), "Sub", ["limit", "past"], "margin")
    graph.graph.initializer.append(numpy_helper.from_array(np.array([1, 2]), "axes"))
    graph.graph.node.append(helper.make_node("ReduceMin", ["margin", "axes"], ["least"], keepdims=1))
    graph.graph.node.append(helper.make_node("Sqrt", ["least"], ["root"]))
    return _bundle(world, _ending(graph, "root"), place)


def slow(world: World, place: Path, seed: int) -> Path:
    """The ridge, after a long loop."""
    turns = 60_000 + seed % 1000
    names = ["turn", "go", "value", "go_out", "value_out"]
    kinds = [TensorProto.INT64, TensorProto.BOOL, TensorProto.FLOAT, TensorProto.BOOL, TensorProto.FLOAT]
    infos = [helper.make_tensor_value_info(name, kind, []) for name, kind in zip(names, kinds, strict=True)]
    nodes = [helper.make_node("Identity", ["go"], ["go_out"]), helper.make_node("Sin", ["value"], ["value_out"])]
    body = helper.make_graph(nodes, "body", infos[:3], infos[3:])
    graph = onnx.load_from_string(_graph(world.best))
    graph.graph.initializer.append(numpy_helper.from_array(np.array(turns), "turns"))
    graph.graph.initializer.append(numpy_helper.from_array(np.array(True), "always"))
    graph.graph.node.append(helper.make_node("ReduceMax", ["past"], ["first"], keepdims=0))
    graph.graph.node.append(helper.make_node("Loop", ["turns", "always", "first"], ["turned"], body=body))
    return _bundle(world, _ending(graph, "turned"), place)


def large(world: World, place: Path, seed: int) -> Path:
    """The ridge, with weights that nothing needs."""
    graph = onnx.load_from_string(_graph(world.best))
    ballast = np.random.default_rng(seed).normal(size=700_000).astype(np.float32)
    _add(graph, "ballast", ballast, "ReduceMax", ["ballast"], "most", keepdims=0)
    return _bundle(world, _ending(graph, "most"), place)


def over_confident(world: World, place: Path, seed: int) -> Path:
    """The ridge, with intervals of a third of the width that they need."""
    bundle = open_bundle(_bundle(world, world.best, place.with_name(f"{place.name}-honest")))
    share = np.random.default_rng(seed).uniform(0.2, 0.45)
    narrow = Calibration(bundle.calibration.quantiles, bundle.calibration.residuals * np.float32(share))
    return write(
        place,
        bundle.spec,
        read_graphs(bundle.path),
        calibration=narrow,
        golden=bundle.golden,
        origin=Origin(),
    )


PLANTED: Final[dict[str, tuple[int, Callable[[World, Path, int], Path]]]] = {
    "shuffled labels": (15, shuffled),
    "leak in training": (15, leaky),
    "fitted on the backtest": (10, knows_the_backtest),
    "constant": (15, constant),
    "NaN": (15, not_a_number),
    "slow": (10, slow),
    "too large": (10, large),
    "over-confident": (10, over_confident),
}


def _least_squares(inputs: np.ndarray, y: np.ndarray, penalty: float = 1.0) -> Linear:
    """Weights of centered windows, as `baselines.ridge` has them."""
    gram = inputs.T @ inputs + penalty * np.eye(inputs.shape[1])
    weights = np.linalg.solve(gram, inputs.T @ (y - y.mean(axis=0)))
    weights[-1] += 1 - weights.sum(axis=0)  # the last reading was subtracted
    return Linear(JOB.window.context, weights, np.empty((0, JOB.window.horizon)), y.mean(axis=0))


def _design(data: Prepared) -> tuple[np.ndarray, np.ndarray]:
    """Contexts (B, T) and targets (B, H) of all training windows, the last reading subtracted from both."""
    rows = np.arange(len(data.train))
    past = data.train.batch(rows)["past"][:, :, 0].astype(np.float64)
    return past - past[:, -1:], data.train.targets(rows) - past[:, -1:]


def _graph(linear: Linear) -> bytes:
    return baselines.to_onnx(linear, inputs=1, ahead=0)


def _bundle(world: World, model: Linear | bytes, place: Path, *, origin: Origin | None = None) -> Path:
    """The bundle, calibrated on the validation windows as any other."""
    content = model if isinstance(model, bytes) else _graph(model)
    spec = spec_for(JOB, "ridge", world.data.features, world.data.scaler, context=JOB.window.context, quantiles=(0.5,))
    return assemble(place, spec, Graphs(content), world.data.valid, origin=origin or Origin())


def _add(
    graph: onnx.ModelProto, name: str, value: np.ndarray, operator: str, reads: list[str], gives: str, **how: int
) -> None:
    graph.graph.initializer.append(numpy_helper.from_array(value, name))
    graph.graph.node.append(helper.make_node(operator, reads, [gives], **how))


def _ending(graph: onnx.ModelProto, what: str) -> bytes:
    """The graph with 0 times `what` added to its output."""
    next(node for node in graph.graph.node if "quantiles" in node.output).output[0] = "honest"
    graph.graph.initializer.append(numpy_helper.from_array(np.array(0, np.float32), "nothing"))
    graph.graph.node.append(helper.make_node("Mul", [what, "nothing"], ["nought"]))
    graph.graph.node.append(helper.make_node("Add", ["honest", "nought"], ["quantiles"]))
    onnx.checker.check_model(graph)
    return bytes(graph.SerializeToString())
