"""Permutation importance: as a loop over windows computes it, for weights that are known."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.config.job import Job
from forecasting.config.network import Stacked
from forecasting.errors import ConfigError
from forecasting.evaluation.baselines import Linear
from forecasting.insight.importance import importance
from forecasting.insight.sample import windows_of
from tests.insight.conftest import LinearModel, random_model

Jobs = Callable[..., Job]
Tables = Callable[..., pd.DataFrame]


def test_the_rise_is_that_of_a_loop_over_windows(make_table: Tables, make_job: Jobs, linear_model: LinearModel) -> None:
    """The forecast is the last reading and what is known ahead; a covariate of weight 0 changes nothing."""
    draw = np.random.default_rng(3)
    table = make_table({"a": np.zeros(120)})
    table["used"], table["idle"] = draw.normal(size=120), draw.normal(size=120)
    table["y"] = table["used"].shift(1).fillna(0.0) + 0.3 * draw.normal(size=120)
    job = make_job(
        {"past": ["idle"], "future": ["used"], "scale": "none"}, window={"context": 4, "horizon": 1},
        backtest={"windows": 6, "step": 2}, train={"validation": 20},
    )  # fmt: skip
    weights = np.zeros((12, 1))  # y, idle, used of four lags
    weights[9], weights[11] = 0.1, 0.8  # the last reading, and the last value of what is known ahead
    model = linear_model(table, job, Linear(4, weights, np.zeros((1, 1)), np.zeros(1)))
    windows = windows_of(model, table)
    found = importance(model, windows)

    count = len(windows)
    past, y = windows.batch(np.arange(count))["past"], windows.targets(np.arange(count))[:, 0]
    order, error = np.random.default_rng(1), np.zeros((6, count))
    for draw_number in range(6):
        other = order.permutation(count) if draw_number else np.arange(count)
        for window in range(count):
            forecast = 0.1 * past[window, -1, 0] + 0.8 * past[other[window], -1, 2]
            error[draw_number, window] = abs(y[window] - forecast)
    rises = error[1:].mean(axis=1) / error[0].mean() - 1
    assert found.windows == count == 116
    assert found.loss == pytest.approx(error[0].mean(), rel=1e-4)
    assert found.rises["used"] == pytest.approx((np.mean(rises), np.std(rises)), rel=1e-3)
    assert found.rises["used"][0] > 0.5
    assert found.rises["idle"] == (0.0, 0.0)
    assert list(found.rises) == ["used", "idle"]
    assert not found.unseen


def test_every_kind_of_covariate_has_an_importance(rich: tuple[pd.DataFrame, Job], tmp_path: Path) -> None:
    """Numbers, labels of one or several channels, statics, and the calendar as one; the target has none."""
    table, job = rich
    model = random_model(table, job, Stacked(cell="gru", units=(8,)), tmp_path)
    found = importance(model, windows_of(model, table))
    assert set(found.rises) == {"p", "label", "f", "calendar", "area", "kind"}
    assert all(spread > 0 for _, spread in found.rises.values())
    assert found.plain()["importance"]["f"] == {"rise": found.rises["f"][0], "deviation": found.rises["f"][1]}


def test_windows_after_the_fit_are_preferred(rich: tuple[pd.DataFrame, Job], tmp_path: Path) -> None:
    """Where there are enough whose targets the model has not learned from, only these count."""
    table, job = rich
    model = random_model(table, job, Stacked(cell="gru", units=(8,)), tmp_path)
    border = table["ds"].max() - pd.Timedelta(hours=40)
    origin = model.bundle.manifest.origin.model_copy(update={"fit_until": border.to_pydatetime()})
    manifest = model.bundle.manifest.model_copy(update={"origin": origin})
    windows = windows_of(model, table)
    model.bundle = model.bundle._replace(manifest=manifest)
    later = int((windows.panel.stamps[windows.rows(np.arange(len(windows)))] >= np.datetime64(border)).sum())
    found = importance(model, windows)
    assert (found.windows, found.unseen) == (later, True)
    assert 10 <= later < len(windows)


def test_a_model_without_covariates_is_refused(make_table: Tables, make_job: Jobs, linear_model: LinearModel) -> None:
    """In a sentence that says what it reads."""
    table, job = make_table({"a": np.random.default_rng(0).normal(size=200)}), make_job()
    weights = np.zeros((6, 3))
    weights[-1] = 1.0
    model = linear_model(table, job, Linear(6, weights, np.zeros((0, 3)), np.zeros(3)))
    with pytest.raises(ConfigError, match="has no covariates of single series to permute; it reads its own past alone"):
        importance(model, windows_of(model, table))
