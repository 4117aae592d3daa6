"""Baselines against loops over plain lists, the ridge against scikit-learn, and all of them as ONNX bundles."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from forecasting.bundle.artifact import Origin
from forecasting.bundle.engine import Engine
from forecasting.bundle.forecaster import open_forecaster
from forecasting.config.job import Job
from forecasting.evaluation import baselines
from forecasting.evaluation.baselines import ALPHAS, BASELINES, Fit, Linear, drift, naive, ridge, seasonal_naive
from forecasting.series.clean import clean
from forecasting.series.features import Features
from forecasting.series.folds import Fold, folds
from forecasting.series.prepare import Prepared, prepare
from forecasting.series.windows import Windows

Tables = Callable[..., pd.DataFrame]
Jobs = Callable[..., Job]


class World(NamedTuple):
    """A clean table, its job and fold, and what a fit may see."""

    table: pd.DataFrame
    job: Job
    fold: Fold
    data: Prepared


def prepared(table: pd.DataFrame, job: Job) -> World:
    """Everything that a baseline is fitted on."""
    cleaned = clean(table, job.series).table
    fold = folds(cleaned, job)[0]
    return World(cleaned, job, fold, prepare(cleaned, job, fold))


@pytest.fixture
def simple(make_table: Tables, make_job: Jobs) -> World:
    """Two series of readings alone, context 6, horizon 3."""
    draw = np.random.default_rng(2)
    table = make_table({"a": draw.normal(5, 2, 90).cumsum(), "b": draw.normal(0, 1, 70)})
    return prepared(table, make_job(backtest={"windows": 5}, train={"validation": 12}))


def fit_of(world: World, season: int = 4) -> Fit:
    """What the baselines learn from."""
    return Fit(world.data.train, world.data.valid, season)


def apply(linear: Linear, past: np.ndarray, future: np.ndarray | None = None) -> np.ndarray:
    """The map by its definition, window by window and step by step."""
    forecast = np.zeros((len(past), len(linear.bias)))
    for b, h in np.ndindex(forecast.shape):
        forecast[b, h] = past[b].ravel() @ linear.weights[:, h] + linear.bias[h]
        if linear.ahead.size and future is not None:
            forecast[b, h] += future[b].ravel() @ linear.ahead[:, h]
    return forecast


def contexts(linear: Linear) -> np.ndarray:
    """Some contexts of one channel."""
    return np.random.default_rng(0).normal(size=(7, linear.context, 1))


def test_naive_repeats_the_last_reading(simple: World) -> None:
    """For every step."""
    past = contexts(naive(fit_of(simple)))
    assert apply(naive(fit_of(simple)), past) == pytest.approx(np.repeat(past[:, -1], 3, axis=1))


@pytest.mark.parametrize(
    ("season", "context"),
    [(1, 6), (2, 6), (3, 6), (4, 6), (6, 6), (24, 24)],  # shorter than the horizon, and longer than the context
)
def test_seasonal_naive_repeats_the_last_season(simple: World, season: int, context: int) -> None:
    """Step h takes the latest reading that lies whole seasons before it."""
    linear = seasonal_naive(fit_of(simple, season))
    past = contexts(linear)
    assert linear.context == context
    for window, forecast in zip(past[:, :, 0], apply(linear, past), strict=True):
        known = list(window)
        for _ in range(3):
            known.append(known[-season])
        assert forecast == pytest.approx(known[context:])


def test_drift_continues_the_line_through_first_and_last(simple: World) -> None:
    """Its slope is the mean step of the context."""
    linear = drift(fit_of(simple))
    past = contexts(linear)
    for window, forecast in zip(past[:, :, 0], apply(linear, past), strict=True):
        slope = np.mean([window[t + 1] - window[t] for t in range(5)])
        assert forecast == pytest.approx([window[-1] + h * slope for h in (1, 2, 3)])


def test_drift_of_a_single_reading_is_naive(make_table: Tables, make_job: Jobs) -> None:
    """One reading has no slope."""
    job = make_job(window={"context": 1, "horizon": 3}, backtest={"windows": 5}, train={"validation": 12})
    world = prepared(make_table({"a": np.arange(60.0)}), job)
    assert drift(fit_of(world)).weights.tolist() == [[1.0, 1.0, 1.0]]


def test_ridge_is_that_of_scikit_learn_on_matrices_built_by_hand(rich: tuple[pd.DataFrame, Job]) -> None:
    """Covariates, labels, calendar and mask included; the penalty is the best one on the validation windows."""
    world = prepared(*rich)
    x, y, last = _matrices(world.data.train)
    valid_x, valid_y, valid_last = _matrices(world.data.valid)
    models = [Ridge(alpha=alpha).fit(x, y - last) for alpha in ALPHAS]
    errors = [np.abs(model.predict(valid_x) + valid_last - valid_y).mean() for model in models]
    expected = models[int(np.argmin(errors))].predict(valid_x) + valid_last
    assert 0 < int(np.argmin(errors)) < len(ALPHAS)
    linear = ridge(fit_of(world))
    batch = world.data.valid.batch(_complete(world.data.valid))
    assert apply(linear, batch["past"], batch["future"]) == pytest.approx(expected, abs=2e-4)


def test_ridge_of_a_single_step_is_that_of_scikit_learn(make_table: Tables, make_job: Jobs) -> None:
    """The penalty is the best one on the validation windows, each judged by its own forecast."""
    y = list(np.random.default_rng(5).normal(size=12))
    for noise in np.random.default_rng(6).normal(size=400):
        y.append(0.9 * y[-12] + 0.4 * noise)
    job = make_job(window={"context": 20, "horizon": 1}, backtest={"windows": 5}, train={"validation": 60})
    world = prepared(make_table({"a": y}), job)
    (x, target, last), (valid_x, valid_y, valid_last) = map(_matrices_of_target, (world.data.train, world.data.valid))
    models = [Ridge(alpha=alpha).fit(x, (target - last).ravel()) for alpha in ALPHAS]
    errors = [np.abs(model.predict(valid_x) + valid_last[:, 0] - valid_y[:, 0]).mean() for model in models]
    expected = models[int(np.argmin(errors))].predict(valid_x) + valid_last[:, 0]
    past = world.data.valid.batch(np.arange(60))["past"]
    assert int(np.argmin(errors)) < 3
    assert apply(ridge(fit_of(world)), past)[:, 0] == pytest.approx(expected, abs=2e-4)


def _matrices_of_target(windows: Windows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Contexts of the target alone in deviations from the last reading, the targets, and those last readings."""
    batch = windows.batch(np.arange(len(windows)))["past"][:, :, 0].astype(float)
    return batch - batch[:, -1:], windows.targets(np.arange(len(windows))), batch[:, -1:]


def _complete(windows: Windows) -> np.ndarray:
    return np.array([k for k in range(len(windows)) if not np.isnan(windows.targets(np.array([k]))).any()])


def _matrices(windows: Windows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One row per complete window: its context in deviations from the last reading, and what is known ahead."""
    rows, targets, lasts = [], [], []
    for k in _complete(windows):
        batch = windows.batch(np.array([k]))
        past = batch["past"][0].astype(float)
        lasts.append([past[-1, 0]])
        past[:, 0] -= past[-1, 0]
        rows.append(np.concatenate([past.ravel(), batch["future"][0].ravel()]))
        targets.append(windows.targets(np.array([k]))[0])
    return np.array(rows), np.array(targets), np.array(lasts)


def test_ridge_follows_the_level_of_its_context(simple: World) -> None:
    """A context that is higher by 100 is forecast higher by 100."""
    linear = ridge(fit_of(simple))
    past = contexts(linear)
    assert apply(linear, past + 100) == pytest.approx(apply(linear, past) + 100)


def test_ridge_without_a_complete_window_is_naive(make_table: Tables, make_job: Jobs) -> None:
    """Where every horizon lacks a reading there is nothing to regress on."""
    job = make_job(backtest={"windows": 5}, train={"validation": 12}, window={"context": 4, "horizon": 3})
    world = prepared(make_table({"a": np.where(np.arange(80) % 3 == 0, np.nan, np.arange(80.0))}), job)
    linear = ridge(fit_of(world))
    assert linear.weights.shape == (4, 3)
    assert linear.weights.tolist() == naive(fit_of(world)).weights.tolist()


@pytest.mark.parametrize("ahead", [0, 2])
def test_onnx_computes_the_map(ahead: int) -> None:
    """Three inputs, with and without what is known ahead, for any number of windows."""
    draw = np.random.default_rng(4)
    context, inputs, horizon = 5, 3, 4
    linear = Linear(
        context,
        draw.normal(size=(context * inputs, horizon)),
        draw.normal(size=(horizon * ahead, horizon)),
        draw.normal(size=horizon),
    )
    engine = Engine(baselines.to_onnx(linear, inputs=inputs, ahead=ahead))
    for windows in (1, 9):
        past = draw.normal(size=(windows, context, inputs)).astype(np.float32)
        future = draw.normal(size=(windows, horizon, ahead)).astype(np.float32)
        quantiles = engine.run({"past": past, "future": future})["quantiles"]
        assert quantiles.shape == (windows, horizon, 1)
        assert quantiles[:, :, 0] == pytest.approx(apply(linear, past, future), abs=1e-4)
    assert set(engine.inputs) == ({"past", "future"} if ahead else {"past"})


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_becomes_a_bundle_that_forecasts(
    name: str, rich: tuple[pd.DataFrame, Job], tmp_path: Path
) -> None:
    """From a table with gaps and covariates: finite, ordered quantiles for every series at every cutoff."""
    world = prepared(*rich)
    path = baselines.fit(name, world.data, world.job, tmp_path / name, origin=Origin())
    forecaster = open_forecaster(path)
    forecasts = forecaster.at(world.table, world.fold.cutoffs)
    assert (forecaster.spec.model, forecasts.quantiles) == (name, (0.1, 0.5, 0.9))
    assert forecasts.values.shape == (12, 3, 3)  # series a and c at six cutoffs: b has ended
    assert np.isfinite(forecasts.values).all()
    assert (np.diff(forecasts.values, axis=-1) >= 0).all()
    assert forecaster.bundle.calibration.residuals.shape[:2] == (3, 1)


@pytest.mark.parametrize(("name", "lag"), [("naive", 1), ("seasonal_naive", 8)])
def test_forecasts_of_a_bundle_are_readings_of_the_table(
    name: str, lag: int, rich: tuple[pd.DataFrame, Job], tmp_path: Path
) -> None:
    """In the units of the target, of the right series and hour: the reading `lag` steps before step 1, filled forward.

    The season of 8 is longer than the context of 6.
    """
    world = prepared(*rich)
    path = baselines.fit(name, world.data, world.job, tmp_path / name, origin=Origin())
    forecasts = open_forecaster(path).at(world.table, world.fold.cutoffs)
    hourly = world.table.set_index(["unique_id", "ds"])["y"]
    for series, cutoff, values in zip(forecasts.unique_id, forecasts.cutoff, forecasts.values, strict=True):
        own = hourly[series].asfreq("h").ffill()
        expected = own[pd.Timestamp(cutoff) - pd.Timedelta(lag - 1, "h")]
        assert values[0, 1] == pytest.approx(expected, rel=1e-5)


def test_residuals_of_a_longer_context_are_those_of_the_validation_windows(
    rich: tuple[pd.DataFrame, Job], tmp_path: Path
) -> None:
    """Seasonal naive reads 8 steps where the job's windows have 6: the same cutoffs, the same actuals."""
    world = prepared(*rich)
    path = baselines.fit("seasonal_naive", world.data, world.job, tmp_path / "bundle", origin=Origin())
    valid, seen = world.data.valid, world.data.seen
    expected: list[list[float]] = [[], [], []]
    for row in valid.rows(np.arange(len(valid))):
        name, moment = seen[["unique_id", "ds"]].iloc[row]
        own = seen[seen["unique_id"] == name].set_index("ds")["y"]
        _, scale = world.data.scaler.of(pd.Index([name], dtype="str"))
        for h in range(3):
            before = own.ffill()[moment + pd.Timedelta(h + 1 - 8, "h")]
            actual = own[moment + pd.Timedelta(h + 1, "h")]
            expected[h] += [] if np.isnan(actual) else [(actual - before) / scale[0]]
    residuals = open_forecaster(path).bundle.calibration.residuals[:, 0]
    for step, values in zip(residuals, expected, strict=True):
        assert step[~np.isnan(step)] == pytest.approx(sorted(values), abs=1e-4)


def test_a_baseline_of_the_target_reads_nothing_else(rich: tuple[pd.DataFrame, Job], tmp_path: Path) -> None:
    """Neither covariates nor calendar: it can answer where those are not given ahead."""
    world = prepared(*rich)
    path = baselines.fit("drift", world.data, world.job, tmp_path / "bundle", origin=Origin())
    assert open_forecaster(path).spec.features == Features(freq="h")
