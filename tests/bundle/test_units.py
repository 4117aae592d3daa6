"""Forecasts do not depend on the unit of a series, and intervals have the size of the level that a series has now."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.forecaster import open_forecaster
from forecasting.config.job import Job

STEPS, LAUNCH = 200, 14
QUANTILES = ["q0.1", "q0.5", "q0.9"]


def wave(seed: int) -> np.ndarray:
    """Seven steps of a season, and noise."""
    return 20 + 5 * np.sin(2 * np.pi * np.arange(STEPS) / 7) + np.random.default_rng(seed).normal(size=STEPS)


@pytest.mark.parametrize("model", ["ridge", "seasonal_naive"])
@pytest.mark.parametrize(("unit", "shift"), [(1e-12, 0.0), (1e-6, 1e3), (1e12, 0.0), (1e12, -1e9), (1.0, 1e8)])
def test_a_series_in_another_unit_has_the_same_forecast_in_that_unit(
    make_job: Callable[..., Job],
    make_table: Callable[..., pd.DataFrame],
    fit_baseline: Callable[..., Any],
    model: str,
    unit: float,
    shift: float,
) -> None:
    """Medians and intervals alike, and the series beside it does not notice."""
    job, found = make_job({"freq": "D", "season": 7}, backtest={"windows": 10}), {}
    for name, values in {"plain": wave(1), "other unit": unit * (wave(1) + shift)}.items():
        table = make_table({"a": values, "b": wave(2)}, freq="D")
        found[name] = open_forecaster(fit_baseline(table, job, model).bundle).forecast(table).set_index("unique_id")
    expected = unit * (found["plain"].loc["a", QUANTILES].to_numpy() + shift)
    apart = (found["other unit"].loc["a", QUANTILES].to_numpy() - expected) / unit
    assert np.abs(apart).max() < 1e-4 + abs(shift) * 1e-12
    np.testing.assert_allclose(
        found["other unit"].loc["b", QUANTILES], found["plain"].loc["b", QUANTILES], rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("beside", [{"old": 250 * wave(3)}, {"tiny": 1e-9 * wave(3)}])
def test_a_series_that_begins_after_its_training_has_intervals_of_its_size(
    make_job: Callable[..., Job],
    make_table: Callable[..., pd.DataFrame],
    fit_baseline: Callable[..., Any],
    beside: dict[str, np.ndarray],
) -> None:
    """Zero while everything was learned, then 5,000 give or take 400: not an interval of one."""
    launched = np.where(
        np.arange(STEPS) < STEPS - LAUNCH, 0.0, 5000 + 400 * np.random.default_rng(4).normal(size=STEPS)
    )
    table = make_table({"launched": launched, **beside}, freq="D")
    job = make_job({"freq": "D", "season": 7, "lower": 0}, backtest={"windows": 20})
    found = open_forecaster(fit_baseline(table, job, "naive").bundle).forecast(table).set_index("unique_id")
    width = (found["q0.9"] - found["q0.1"]).loc["launched"]
    assert width.between(100, 10_000).all()
    for name, values in beside.items():  # nobody beside it is any wider for it, but for what few residuals cost
        assert (found["q0.9"] - found["q0.1"]).loc[name].max() < 10 * values.std()


def test_a_series_that_rises_a_thousandfold_has_wider_intervals(
    make_job: Callable[..., Job], make_table: Callable[..., pd.DataFrame], fit_baseline: Callable[..., Any]
) -> None:
    """Its context alone says so: the scale was learned before."""
    values = wave(5)
    job = make_job({"freq": "D", "season": 7}, backtest={"windows": 20})
    bundle = open_forecaster(fit_baseline(make_table({"a": values}, freq="D"), job, "naive").bundle)
    usual, risen = (
        bundle.forecast(make_table({"a": level}, freq="D")) for level in (values, np.append(values, 1000 * values))
    )
    usual, risen = ((table["q0.9"] - table["q0.1"]).mean() for table in (usual, risen))
    assert 100 < risen / usual < 1000
