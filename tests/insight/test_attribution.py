"""Attribution: contributions add up to the forecast, and are those of weights that are known."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.config.job import Job
from forecasting.config.network import ConvLSTM, Stacked
from forecasting.errors import DataError
from forecasting.evaluation.baselines import Linear, map_of_target
from forecasting.insight.attribution import Explanation, explain
from forecasting.insight.reach import reach
from forecasting.insight.sample import windows_of
from forecasting.insight.wording import causes, cycles, sentence
from tests.insight.conftest import LinearModel, random_model

Jobs = Callable[..., Job]
Tables = Callable[..., pd.DataFrame]


def total(found: Explanation) -> np.ndarray:
    """The sum of all contributions to each step."""
    sums: np.ndarray = np.sum([part.sum(axis=1) for part in (*found.by_lag.values(), *found.ahead.values())], axis=0)
    return sums


def test_contributions_of_a_linear_map_are_its_weights(
    make_table: Tables, make_job: Jobs, linear_model: LinearModel
) -> None:
    """Weight times distance of each reading from the last one, in units of the target; the baseline holds the rest."""
    draw = np.random.default_rng(0)
    table, job = make_table({"a": 100 + 20 * draw.normal(size=200), "b": draw.normal(size=200)}), make_job()
    weights = draw.normal(size=(6, 3))
    weights /= weights.sum(axis=0)  # so that a flat window is forecast as it is
    found = explain(linear_model(table, job, map_of_target(weights)), table, "a")

    y = table.loc[table["unique_id"] == "a", "y"].to_numpy()[-6:]
    expected = (weights * (y - y[-1])[:, None]).T[:, ::-1]
    assert found.by_lag["y"] == pytest.approx(expected, abs=2e-3)
    assert found.baseline == pytest.approx([y[-1]] * 3, abs=1e-3)
    assert found.forecast == pytest.approx(y @ weights, abs=1e-3)
    assert (found.last, found.cutoff) == (pytest.approx(y[-1]), table["ds"].max())
    assert found.ds[0] == np.datetime64(table["ds"].max() + pd.Timedelta(1, "h"))


def test_a_series_that_depends_on_lag_40_is_explained_by_it(
    lag_40: tuple[pd.DataFrame, Job], linear_model: LinearModel
) -> None:
    """The whole difference from the last reading is that lag's."""
    table, job = lag_40
    weights = np.zeros((60, 1))
    weights[20] = 1.0
    found = explain(linear_model(table, job, map_of_target(weights)), table, "a")
    contributions = np.abs(found.by_lag["y"][0])
    assert np.argmax(contributions) + 1 == 40
    assert contributions[39] > 0.99 * contributions.sum()


@pytest.mark.parametrize("normalise", ["window", "last", "none"])
@pytest.mark.parametrize("transform", ["none", "log1p"])
def test_contributions_of_a_network_add_up(
    normalise: Any, transform: str, rich: tuple[pd.DataFrame, Job], tmp_path: Path
) -> None:
    """Within 1 % of the difference to the baseline, with gaps, labels, statics, and covariates known ahead."""
    table, job = rich
    table = table.assign(y=table["y"] - table["y"].min() + 1.0)
    job = job.model_copy(update={"series": job.series.model_copy(update={"transform": transform, "lower": 0.0})})
    model = random_model(table, job, Stacked(cell="gru", units=(8, 8), normalise=normalise), tmp_path)
    ahead = table.groupby("unique_id")["ds"].max().repeat(3).reset_index()
    ahead["ds"] += pd.to_timedelta(np.tile([1, 2, 3], 3), unit="h")
    for name in ("a", "c"):
        found = explain(model, pd.concat([table, ahead.assign(f=[0.5, -2.0, 1.0] * 3)]), name)
        change = found.forecast - found.baseline
        assert np.abs(total(found) - change).max() <= 0.01 * np.abs(change).max()
        assert found.gap <= 0.01
        assert np.abs(found.ahead["f"]).max() > 0


def test_a_place_of_a_line_is_explained_by_all_places(make_table: Tables, make_job: Jobs, tmp_path: Path) -> None:
    """Series that are read together: the contributions of a lag are those of the whole line, and add up."""
    draw = np.random.default_rng(2)
    table = make_table({name: draw.normal(size=150).cumsum() for name in "abc"})
    job = make_job({"layout": "line", "places": ["a", "b", "c"]}, backtest={"windows": 5}, train={"validation": 20})
    model = random_model(table, job, ConvLSTM(), tmp_path)
    found = explain(model, table, "b")
    change = found.forecast - found.baseline
    assert np.abs(total(found) - change).max() <= 0.01 * np.abs(change).max()
    expected = model.forecast(table, levels=()).query("unique_id == 'b'")
    assert found.cutoff == expected["cutoff"].iloc[0]
    assert reach(model, windows_of(model, table)).weights["y"].shape == (3, 6)


def test_a_series_without_a_window_is_refused(lag_40: tuple[pd.DataFrame, Job], linear_model: LinearModel) -> None:
    """There is nothing to explain, and the message names it."""
    table, job = lag_40
    with pytest.raises(DataError, match="bogus has no reading"):
        explain(linear_model(table, job, map_of_target(np.zeros((60, 1)))), table, "bogus")


def test_the_sentence_names_the_same_hour_yesterday(
    make_table: Tables, make_job: Jobs, linear_model: LinearModel
) -> None:
    """A map that repeats the day before: all of the difference is there, for every step and for the mean."""
    hours = np.arange(400)
    table = make_table({"a": 50 + 10 * np.cos(2 * np.pi * hours / 24)})
    job = make_job(window={"context": 48, "horizon": 3}, backtest={"windows": 20}, train={"validation": 100})
    weights = np.zeros((48, 3))
    weights[24 + np.arange(3), np.arange(3)] = 1.0
    found = explain(linear_model(table, job, map_of_target(weights)), table, "a")
    (first, *_) = causes(found)
    assert first.name == "the same hour yesterday (24 steps before it)"
    last, ahead = table["y"].iloc[-1], table["y"].iloc[-24:-21].to_numpy()
    assert first.amount == pytest.approx(ahead.mean() - last, rel=1e-2)
    assert sentence(found).endswith("mostly because of the same hour yesterday (24 steps before it)")
    assert sentence(found, 2).startswith(f"step 2, {ahead[1]:.4g}: up by")
    assert f"from {last:.4g}, the forecast if all had stayed at {last:.4g}" in sentence(found, 2)


def test_the_sentence_says_what_stands_against_it(
    make_table: Tables, make_job: Jobs, linear_model: LinearModel
) -> None:
    """Two lags pull up and down; what pulls the other way at least a third as much is named."""
    readings = np.zeros(200)
    readings[-6:] = [9.0, 0.0, 4.0, 0.0, 0.0, 0.0]
    table = make_table({"a": readings + np.random.default_rng(0).normal(size=200) * 1e-3})
    weights = np.zeros((6, 1))
    weights[[0, 2]] = [[1.0], [-1.0]]
    job = make_job(window={"context": 6, "horizon": 1}, backtest={"windows": 5}, train={"validation": 20})
    found = explain(linear_model(table, job, map_of_target(weights)), table, "a")
    assert sentence(found).endswith("mostly because of lags 5 to 6, against lags 3 to 4")


@pytest.mark.parametrize(
    ("freq", "expected"),
    [
        ("h", [("the same hour yesterday", 24), ("the same hour last week", 168)]),
        ("15min", [("the same time yesterday", 96), ("the same time last week", 672)]),
        ("7h", [("the same time last week", 24)]),
        ("D", [("the same weekday last week", 7), ("the same weekday last year", 364)]),
        ("B", [("the same weekday last week", 5)]),
        ("W", [("the same week last year", 52)]),
        ("MS", [("the same month last year", 12)]),
        ("QE", [("the same quarter last year", 4)]),
        ("YE", []),
    ],
)
def test_cycles_have_the_names_that_people_use(freq: str, expected: list[tuple[str, int]]) -> None:
    """What a reading is compared with, at each frequency; only whole numbers of steps."""
    assert cycles(freq) == expected


def test_a_flat_window_has_nothing_to_explain(make_table: Tables, make_job: Jobs, linear_model: LinearModel) -> None:
    """Where every reading is the last one, no reading is a cause."""
    readings = np.random.default_rng(0).normal(size=200)
    readings[-6:] = 1.5
    table, weights = make_table({"a": readings}), np.full((6, 3), 1 / 6)
    found = explain(linear_model(table, make_job(), map_of_target(weights)), table, "a")
    assert np.abs(found.by_lag["y"]).max() == pytest.approx(0.0, abs=1e-6)
    assert "nothing that was read changes it" in sentence(found)


def test_known_ahead_counts_by_its_step(rich: tuple[pd.DataFrame, Job], linear_model: LinearModel) -> None:
    """A map that adds twice the covariate of its own step: nothing else contributes."""
    table, job = rich
    ahead = np.zeros((3, 3, 3))  # (H, F, H)
    ahead[np.arange(3), 0, np.arange(3)] = 2.0
    model = linear_model(table, job, Linear(6, np.zeros((54, 3)), ahead.reshape(9, 3), np.zeros(3)))
    end = table.loc[table["unique_id"] == "a", "ds"].max()
    known = pd.DataFrame({"unique_id": "a", "ds": pd.date_range(end, periods=4, freq="h")[1:], "f": [1.0, 2.0, 4.0]})
    found = explain(model, pd.concat([table[table["unique_id"] == "a"], known]), "a")
    assert np.abs(found.by_lag["f"]).max() == pytest.approx(0.0, abs=1e-6)
    own = np.diag(found.ahead["f"])
    assert np.abs(found.ahead["f"] - np.diag(own)).max() == pytest.approx(0.0, abs=1e-3)
    _, scale = model.spec.scaler.of(["a"])
    assert np.diff(own) == pytest.approx(
        2 * scale[0] * np.diff([1.0, 2.0, 4.0]) / model.spec.scaler.covariates["f"][1], rel=1e-4
    )
