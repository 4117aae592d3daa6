"""Reach: known weights are found again, memory that is not there is not, and advice follows from it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from forecasting.bundle.artifact import Origin, open_bundle
from forecasting.bundle.assemble import spec_for
from forecasting.bundle.engine import Graphs
from forecasting.bundle.predictor import Predictor
from forecasting.bundle.quantile_forecaster import QuantileForecaster
from forecasting.bundle.spec import MemberFit, MemberSpec
from forecasting.config.head import NumberHead
from forecasting.config.job import Job
from forecasting.config.network import Stacked
from forecasting.evaluation import baselines
from forecasting.evaluation.baselines import Linear, map_of_target, to_onnx
from forecasting.insight.derivatives import by_lag, by_step_ahead, inputs_of
from forecasting.insight.reach import MemberReach, Reach, advice, memory, reach
from forecasting.insight.sample import windows_of
from forecasting.nn import heads, models
from forecasting.nn.export import to_onnx as export
from forecasting.nn.exporters.ensemble import MemberGraph, combine
from forecasting.series.clean import clean
from forecasting.series.features import Features
from forecasting.series.folds import folds
from forecasting.series.prepare import prepare
from forecasting.series.scaling import Scaler
from tests.insight.conftest import LinearModel

Jobs = Callable[..., Job]


def one_lag(context: int, lag: int, horizon: int = 1, weight: float = 1.0) -> Linear:
    """A forecast of one reading of the context, the same for all steps."""
    weights = np.zeros((context, horizon))
    weights[context - lag] = weight
    return map_of_target(weights)


def fitted(name: str, table: pd.DataFrame, job: Job, place: Path) -> QuantileForecaster:
    """A baseline of the job, fitted on its first fold."""
    cleaned = clean(table, job.series).table
    data = prepare(cleaned, job, folds(cleaned, job)[0])
    return QuantileForecaster(open_bundle(baselines.fit(name, data, job, place / name, origin=Origin())))


def test_a_map_of_one_lag_has_all_its_weight_there(lag_40: tuple[pd.DataFrame, Job], linear_model: LinearModel) -> None:
    """Lag 40 has the weight 0.7, every other lag none, so that 40 is the memory horizon."""
    table, job = lag_40
    model = linear_model(table, job, one_lag(60, 40, weight=-0.7))
    found = reach(model, windows_of(model, table))
    assert found.by_lag["y"][39] == pytest.approx(0.7, rel=1e-3)
    assert np.delete(found.by_lag["y"], 39) == pytest.approx(np.zeros(59), abs=1e-4)
    assert found.memory_horizon == 40
    assert found.plain()["memory_horizon_by_step"] == [40]


def test_a_ridge_that_learned_from_lag_40_names_it(lag_40: tuple[pd.DataFrame, Job], tmp_path: Path) -> None:
    """The largest weight, and most of the weight, is that of the only lag that the readings depend on."""
    table, job = lag_40
    model = fitted("ridge", table, job, tmp_path)
    weights = reach(model, windows_of(model, table)).by_lag["y"]
    assert np.argmax(weights) + 1 == 40
    assert weights[39] > 5 * np.sort(weights)[-2]


@pytest.mark.parametrize(("name", "memory_horizon"), [("naive", 1), ("seasonal_naive", 24)])
def test_memory_of_a_baseline_is_what_it_reads(
    name: str, memory_horizon: int, lag_40: tuple[pd.DataFrame, Job], tmp_path: Path
) -> None:
    """The last reading, or the one a day before the step that is forecast."""
    model = fitted(name, *lag_40, tmp_path)
    found = reach(model, windows_of(model, lag_40[0]))
    assert found.memory_horizon == memory_horizon
    assert found.advice.endswith("by definition, which is no advice on window.context")


def test_every_reading_has_its_own_weights(rich: tuple[pd.DataFrame, Job], linear_model: LinearModel) -> None:
    """With gaps, labels and covariates known ahead: the weights of each channel by step and lag, without the calendar.

    The mask of gaps and the stamps are no readings.
    """
    table, job = rich
    draw = np.random.default_rng(1)
    weights, ahead = draw.normal(size=(6, 9, 3)), draw.normal(size=(3, 3, 3))  # (T, D, H), (H, F, H)
    model = linear_model(table, job, Linear(6, weights.reshape(54, 3), ahead.reshape(9, 3), np.zeros(3)))
    assert model.spec.features.inputs[5:] == ("f", "hour_sin", "hour_cos", "observed")
    windows = windows_of(model, clean(table, job.series).table)
    found = reach(model, windows)
    assert list(found.weights) == ["y", "p", "label=high", "label=low", "label=?", "f"]
    for channel, name in enumerate(found.weights):
        np.testing.assert_allclose(found.weights[name], np.abs(weights[::-1, channel].T), rtol=1e-2, atol=1e-3)
    window = model.bundle.predictor.batch(windows, np.array([0]))
    (known,) = [one for one in inputs_of(model.spec.features) if one.future is not None]
    derivatives = by_step_ahead(model.bundle.predictor, window, known.future or 0)[:, 0]
    np.testing.assert_allclose(derivatives, ahead[:, 0], rtol=1e-2, atol=1e-3)


def test_a_forecast_that_is_fed_back_reaches_through_itself(make_job: Jobs) -> None:
    """One step is half of the last reading, so three steps are a half, a quarter, and an eighth of it."""
    job = make_job(window={"context": 6, "horizon": 3, "block": 1})
    spec = spec_for(job, "stacked", Features(freq="h"), Scaler(), context=6).model_copy(
        update={"quantiles": (0.5,), "head": "quantile"}
    )
    predictor = Predictor(spec, Graphs(to_onnx(one_lag(6, 1, weight=0.5), inputs=1, ahead=0)))
    past = np.random.default_rng(0).normal(size=(1, 6, 1)).astype("float32")
    found = by_lag(predictor, {"past": past}, 0)[:, 0]
    np.testing.assert_allclose(found[0], [0.5, 0.25, 0.125], rtol=1e-3)
    np.testing.assert_allclose(found[1:], np.zeros((5, 3)), atol=1e-4)


def test_members_of_an_ensemble_have_their_own_reach(
    lag_40: tuple[pd.DataFrame, Job], linear_model: LinearModel
) -> None:
    """Two lags with three quarters and one quarter of the weight; alone, each member has all of its own."""
    table, job = lag_40
    model = linear_model(table, job, one_lag(60, 1))
    graphs = [to_onnx(one_lag(60, lag), inputs=1, ahead=0) for lag in (3, 50)]
    shares = (0.75, 0.25)
    spread = np.zeros((1, 1), "float32")
    parts = [MemberGraph(graph, share, 60, 1, spread) for graph, share in zip(graphs, shares, strict=True)]
    together = combine(parts, models.Shapes(60, 1, 1), 1)
    (model.bundle.path / "model.onnx").write_bytes(together)
    members = tuple(MemberSpec(model="ridge", title=str(share), weight=share, context=60) for share in shares)
    spec = model.spec.model_copy(update={"members": members, "baseline": False})
    ensemble = QuantileForecaster(model.bundle._replace(spec=spec, predictor=Predictor(spec, Graphs(together))))

    found = reach(ensemble, windows_of(ensemble, table))
    assert (found.by_lag["y"][2], found.by_lag["y"][49]) == pytest.approx((0.75, 0.25), rel=1e-2)
    assert found.memory_horizon == 50
    assert [one.memory_horizon for one in found.members] == [3, 50]
    assert [one["reach"]["y"][lag - 1] for one, lag in zip(found.plain()["members"], (3, 50), strict=True)] == (
        pytest.approx([1.0, 1.0], rel=1e-2)
    )
    assert found.notes == ()


def test_advice_is_about_the_networks_where_linear_members_read_further(make_job: Jobs) -> None:
    """Theta looks at all of its 60 steps by definition; `window.context` is the networks', who look at 4 of 20."""
    fit = MemberFit(params={}, planned=1, steps=1, seed=1)
    members = (
        MemberSpec(model="theta", title="theta", weight=0.75, context=60),
        MemberSpec(model="segrnn", title="segrnn", weight=0.25, context=20, fit=fit),
    )
    spec = spec_for(make_job(), "auto", Features(freq="h"), Scaler(), context=60).model_copy(
        update={"members": members}
    )
    theta, network = np.ones((1, 60)), np.zeros((1, 60))
    network[0, :4] = 1.0
    parts = tuple(MemberReach(one, {"y": weights}) for one, weights in zip(members, (theta, network), strict=True))
    found = Reach(spec, {"y": 0.75 * theta + 0.25 * network}, 1, parts)
    assert found.memory_horizon > 50
    assert found.advice == "the networks of the ensemble look back 4 of 20 steps; 5 would do"
    assert found.advised == found.plain()["advised_context"] == 5
    alone = spec.model_copy(update={"members": members[:1]})
    linear = Reach(alone, {"y": theta}, 1, parts[:1])
    assert linear.advice.endswith("by definition, which is no advice on window.context")
    assert linear.advised is None


@pytest.mark.parametrize("cell", ["gru", "lstm", "simple"])
def test_derivatives_are_those_of_keras(cell: Any, make_job: Jobs) -> None:
    """Of the median by every lag of a random network, against the gradients of TensorFlow within 1 %."""
    network = random_network(Stacked(cell=cell, units=(12,), normalise="window", highway=20), context=20, past=2)
    job = make_job({"past": ["p"]}, window={"context": 20, "horizon": 3}, head={"quantiles": [0.1, 0.5, 0.9]})
    spec = spec_for(job, "stacked", Features(freq="h", past=("p",)), Scaler(), context=20)
    past = np.random.default_rng(3).normal(1.0, 2.0, size=(1, 20, 2)).astype("float32")
    for channel in (0, 1):
        expected = gradients(network, past)[..., channel].T  # (T, H), lag 1 first
        found = by_lag(Predictor(spec, Graphs(export(network))), {"past": past}, channel)[:, 0]
        assert np.abs(found - expected).max() < 0.01 * np.abs(expected).max()
        assert np.abs(found - expected).sum() < 0.01 * np.abs(expected).sum()


def test_reach_of_untrained_cells(rng: np.random.Generator) -> None:
    """A simple RNN with small weights forgets exponentially; an LSTM with forget bias 1 at least five times slower."""
    simple = random_network(Stacked(cell="simple", units=(32,), normalise="none"), context=60, past=1, randomize=False)
    lstm = random_network(Stacked(cell="lstm", units=(32,), normalise="none"), context=60, past=1, randomize=False)
    layer = next(layer for layer in simple.layers if isinstance(layer, keras.layers.SimpleRNN))
    kernel, recurrent, bias = layer.get_weights()
    layer.set_weights([kernel, rng.uniform(-0.5, 0.5, recurrent.shape) / np.sqrt(32), bias])
    past = rng.normal(size=(64, 60, 1)).astype("float32")
    slopes = []
    for network, lags in ((simple, 40), (lstm, 60)):
        logs = np.log(np.abs(gradients(network, past)[0, :lags, 0]))
        slope, level = np.polyfit(np.arange(lags), logs, 1)
        error = logs - slope * np.arange(lags) - level
        slopes.append(slope)
        assert 1 - np.var(error) / np.var(logs) > (0.98 if network is simple else 0.9)
    assert slopes[0] < 5 * slopes[1] < 0


def random_network(params: Stacked, *, context: int, past: int, randomize: bool = True) -> keras.Model:
    """A network of three steps with weights from a fixed seed."""
    keras.utils.set_random_seed(4)
    head = heads.build(NumberHead(quantiles=(0.1, 0.5, 0.9)))
    network = models.build(params, models.Shapes(context, 3, past), head)
    draw = np.random.default_rng(4)
    if randomize:
        network.set_weights([draw.normal(0, 0.3, weight.shape) for weight in network.get_weights()])
    return network


def gradients(network: keras.Model, past: np.ndarray) -> np.ndarray:
    """The mean absolute gradient of many windows, of one window the gradient itself: (H, T, D), lag 1 first."""
    given = tf.constant(past)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(given)
        steps = [network({"past": given}, training=False)[:, step, 1] for step in range(3)]
    found = np.stack([tape.gradient(step, given).numpy() for step in steps])[:, :, ::-1]  # (H, B, T, D)
    return found[:, 0] if len(past) == 1 else np.abs(found).mean(axis=1)


def test_memory_horizon_holds_95_percent() -> None:
    """The first lag at which the sum reaches 95 %; none where nothing has any weight."""
    assert memory(np.array([0.5, 0.3, 0.15, 0.05])) == 3
    assert memory(np.array([[0.5, 0.3, 0.1, 0.1], [0.0, 0.0, 0.0, 8.0]])) == 4
    assert memory(np.zeros((2, 4))) == 0


@pytest.mark.parametrize(
    ("context", "memory_horizon", "said"),
    [
        (168, 61, "the network looks back 61 of 168 steps; 96 would do"),
        (168, 10, "the network looks back 10 of 168 steps; 13 would do"),
        (168, 120, "the network looks back 120 of 168 steps: the context fits"),
        (
            168,
            160,
            (
                "the network looks back 160 of 168 steps: the reach ends at the edge of the context; try more, such as"
                " 336"
            ),
        ),
    ],
)
def test_advice_follows_from_the_memory_horizon(context: int, memory_horizon: int, said: str, make_job: Jobs) -> None:
    """A quarter more than is needed, in whole days where there is one; nothing is changed for less than a fifth."""
    job = make_job(window={"context": context, "horizon": 3})
    spec = spec_for(job, "stacked", Features(freq="h"), Scaler(), context=context)
    assert advice(spec, memory_horizon) == said


def test_a_short_series_is_looked_at_in_its_last_window(make_table: Any, make_job: Jobs, tmp_path: Path) -> None:
    """Where no series has a whole context and horizon, the window at the last reading is there all the same."""
    draw = np.random.default_rng(3)
    job = make_job(window={"context": 12, "horizon": 3}, backtest={"windows": 5}, train={"validation": 20})
    model = fitted("naive", make_table({"a": draw.normal(size=200)}), job, tmp_path)
    short = make_table({"a": draw.normal(size=7)})
    found = reach(model, windows_of(model, short))
    assert (found.windows, found.memory_horizon) == (1, 1)
