"""Networks that go on from their own forecasts, from the fit to the command line."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.artifact import Origin
from forecasting.bundle.forecaster import Forecaster, open_forecaster
from forecasting.config.job import Job
from forecasting.errors import DataError
from forecasting.series.clean import clean
from forecasting.series.folds import Fold, folds
from forecasting.series.prepare import prepare
from forecasting.training.fit import fit

# Keras reads its TensorFlow variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")

ORIGIN = Origin()
PARAMS = {
    "seq2seq": {"units": [4], "bidirectional": True, "dropout": 0.1},
    "deepar": {"units": [4], "dropout": 0.1},
    "stacked": {"cell": "gru", "units": [4]},
}
HOUR = pd.Timedelta(1, "h")


class Fitted(NamedTuple):
    """A clean table with every kind of covariate, its job and fold, and the open bundle of its network."""

    table: pd.DataFrame
    job: Job
    fold: Fold
    forecaster: Forecaster


def asked(rich: tuple[pd.DataFrame, Job], name: str, epochs: int = 2) -> tuple[pd.DataFrame, Job, Fold]:
    """The rich table and a tiny network of this name; `stacked` gives two of three steps at once, and no past."""
    table, job = rich
    content = job.model_dump() | {"model": {"name": name, "params": PARAMS[name]}, "head": {"name": "normal"}}
    content["train"] |= {"epochs": epochs, "batch_size": 64, "learning_rate": 0.02}
    content["forecast"] = {"paths": 40}
    if name == "stacked":
        content["window"] |= {"block": 2}
        content["series"] |= {"past": [], "categorical": ["kind"]}
    job = Job.model_validate(content)
    cleaned = clean(table, job.series).table
    return cleaned, job, folds(cleaned, job)[0]


@pytest.fixture(scope="module", params=list(PARAMS))
def fitted(
    request: pytest.FixtureRequest, rich: tuple[pd.DataFrame, Job], tmp_path_factory: pytest.TempPathFactory
) -> Fitted:
    """Each network after two epochs."""
    table, job, fold = asked(rich, request.param)
    bundle = fit(table, job, fold, tmp_path_factory.mktemp(request.param), origin=ORIGIN).bundle
    return Fitted(table, job, fold, open_forecaster(bundle))


def ahead(table: pd.DataFrame, steps: int) -> pd.DataFrame:
    """What is known of the hours after the last reading of each series."""
    last = table.dropna(subset="y").groupby("unique_id").last().reset_index()
    parts = [last[["unique_id", "ds"]].assign(ds=last["ds"] + h * HOUR, f=np.cos(h)) for h in range(1, steps + 1)]
    return pd.concat(parts, ignore_index=True)


def test_bundle_forecasts_in_order_and_repeats_itself(fitted: Fitted) -> None:
    """Finite quantiles that increase, the same each time, with intervals that widen by feeding back."""
    forecasts = fitted.forecaster.at(fitted.table, fitted.fold.cutoffs)
    assert fitted.forecaster.bundle.predictor.feeds_back
    assert np.isfinite(forecasts.values).all()
    assert (np.diff(forecasts.values, axis=2) >= 0).all()
    assert np.ptp(forecasts.values, axis=2).min() > 0
    again = fitted.forecaster.at(fitted.table, fitted.fold.cutoffs)
    np.testing.assert_array_equal(again.values, forecasts.values)


def test_nothing_after_the_cutoff_changes_a_forecast(fitted: Fitted) -> None:
    """But what is known ahead."""
    table, cutoff = fitted.table, fitted.fold.cutoffs[:1]
    later = table["ds"] > cutoff[0]
    expected = fitted.forecaster.at(table, cutoff).values
    wrong = table.assign(y=table["y"].mask(later, 1e9), p=table["p"].mask(later, -1e9))
    np.testing.assert_array_equal(fitted.forecaster.at(wrong, cutoff).values, expected)
    moved = fitted.forecaster.at(table.assign(f=table["f"].mask(later, 1.5)), cutoff).values
    assert not np.array_equal(moved, expected)


def test_graphs_forecast_what_the_network_says_of_the_same_path(fitted: Fitted) -> None:
    """The network that learned, told the means that were fed back, gives the quantiles that the graphs gave."""
    if fitted.job.model.name == "stacked":
        pytest.skip("it is told nothing; its blocks are tested against a loop in tests/bundle/test_predictor.py")
    batch = prepare(fitted.table, fitted.job, fitted.fold).valid.batch(np.arange(20))
    replay = fitted.forecaster.bundle.predictor.replay(batch)  # (B, H, 3), a normal distribution: the mean is in it
    network = keras.saving.load_model(fitted.forecaster.bundle.path / "model.keras", compile=False)
    previous = np.concatenate([batch["past"][:, -1:, 0], replay[:, :-1, 1]], axis=1)
    told = keras.ops.convert_to_numpy(network({**batch, "previous": previous}, training=False))  # (B, H, 2)
    np.testing.assert_allclose(replay[..., 1], told[..., 0], atol=1e-5)
    np.testing.assert_allclose((replay[..., 2] - replay[..., 1]) / 1.2815516, told[..., 1], atol=1e-5)


def test_horizon_is_exceeded_only_on_request(fitted: Fitted) -> None:
    """Without it three steps; with it seven, that begin with these, and need what is known ahead of all seven."""
    known = ahead(fitted.table, 7)
    short = fitted.forecaster.forecast(fitted.table, known)
    assert short["step"].max() == 3
    long = fitted.forecaster.forecast(fitted.table, known, horizon=7)
    assert long.groupby("unique_id")["step"].max().tolist() == [7, 7, 7]
    first = long[long["step"] <= 3].reset_index(drop=True)
    pd.testing.assert_frame_equal(first, short, rtol=1e-5)
    assert (long["ds"] == long["cutoff"] + long["step"] * HOUR).all()
    assert np.isfinite(long[["q0.1", "q0.5", "q0.9"]]).all(axis=None)
    two = fitted.forecaster.forecast(fitted.table, known, horizon=2)
    pd.testing.assert_frame_equal(two, short[short["step"] <= 2].reset_index(drop=True))
    with pytest.raises(DataError, match="must be known for the next 7 steps"):
        fitted.forecaster.forecast(fitted.table, ahead(fitted.table, 4), horizon=7)


def test_steps_beyond_are_calibrated_like_the_last_one(fitted: Fitted) -> None:
    """The residuals of the third step stand for all that follow."""
    longer = fitted.forecaster.reaching(6).bundle.calibration.residuals
    trained = fitted.forecaster.bundle.calibration.residuals
    np.testing.assert_array_equal(longer[:3], trained)
    np.testing.assert_array_equal(longer[3:], np.repeat(trained[2:], 3, axis=0))
    assert fitted.forecaster.reaching(3) is fitted.forecaster


@pytest.mark.parametrize("name", ["seq2seq", "deepar"])
def test_killed_fit_goes_on_as_if_nothing_had_happened(
    name: str,
    rich: tuple[pd.DataFrame, Job],
    tmp_path: Path,
    killed_after_a_save: Callable[[], AbstractContextManager[None]],
) -> None:
    """Both graphs are byte for byte those of a fit in peace."""
    table, job, fold = asked(rich, name)
    peace = fit(table, job, fold, tmp_path / "peace", origin=ORIGIN).bundle
    with killed_after_a_save():
        fit(table, job, fold, tmp_path / "killed", origin=ORIGIN)
    again = fit(table, job, fold, tmp_path / "killed", origin=ORIGIN).bundle
    for graph in ("model.onnx", "step.onnx"):
        assert (again / graph).read_bytes() == (peace / graph).read_bytes()


def run(command: list[str], home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    environment = {**os.environ, "GATECAST_HOME": str(home)}
    return subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, check=False)


def test_command_forecasts_farther_only_where_asked(finished: Any, gatecast: list[str], home: Path) -> None:
    """Four steps as trained; nine where asked for, five of them new in the store; wrong numbers are usage errors."""
    shutil.copytree(finished.home, home)
    out = home / "far.parquet"
    done = run(gatecast, home, "forecast", str(finished.config), "--horizon", "9", "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["rows"], answer["written"]) == (3 * 9, 3 * 5)
    table = pd.read_parquet(out)
    assert sorted(table["step"].unique()) == list(range(1, 10))
    assert np.isfinite(table[["q0.1", "q0.5", "q0.9"]]).all(axis=None)
    near = run(gatecast, home, "forecast", str(finished.config), "--json")
    assert json.loads(near.stdout)["rows"] == 3 * 4
    assert run(gatecast, home, "forecast", str(finished.config), "--horizon", "0").returncode == 2
