"""A model in the hand tells how far back it looks and what moved a forecast."""

import numpy as np
import pandas as pd
import pytest

import forecasting as fc
from forecasting.api.model import FittedModel
from forecasting.errors import DataError

LAG = 7


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Two series in which every reading follows the one seven hours before it, and nothing else."""
    rng, stamps = np.random.default_rng(5), pd.date_range("2024-01-01", periods=400, freq="h")
    parts = []
    for name in ("a", "b"):
        y = rng.normal(size=len(stamps))
        for step in range(LAG, len(y)):
            y[step] += 0.9 * y[step - LAG]
        parts.append(pd.DataFrame({"unique_id": name, "ds": stamps, "y": 20 + y}))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def linear(table: pd.DataFrame) -> FittedModel:
    """A network that is a ridge regression of twelve lags."""
    params = {"units": [4], "highway": 12, "highway_start": "fixed_ridge", "normalise": "none"}
    job = fc.job(
        freq="h",
        horizon=1,
        window={"context": 12},
        model={"name": "stacked", "params": params},
        train={"steps": 1},
        backtest={"windows": 5},
    )
    return fc.fit(table, job, in_process=True)


def test_reach_names_the_lag_that_the_answer_depends_on(linear: FittedModel, table: pd.DataFrame) -> None:
    """From the table that was fitted, and from another one; the memory ends there."""
    for found in (linear.reach(), linear.reach(table.iloc[:300])):
        weights = found.by_lag["y"]
        assert int(np.argmax(weights)) + 1 == LAG
        assert weights[LAG - 1] > 5 * np.delete(weights, LAG - 1).max()
    assert found.spec == linear.spec


def test_explanation_adds_up_and_names_the_reading(linear: FittedModel, table: pd.DataFrame) -> None:
    """The contributions are the forecast less the baseline; the reading seven hours before has nearly all of it."""
    for name in ("a", "b"):
        why = linear.explain(unique_id=name)
        parts = why.by_lag["y"][0]
        assert why.unique_id == name
        assert parts.sum() == pytest.approx((why.forecast - why.baseline)[0], rel=0.01)
        assert int(np.argmax(np.abs(parts))) + 1 == LAG
        assert why.last == pytest.approx(table[table["unique_id"] == name]["y"].iloc[-1], rel=1e-5)
    assert linear.explain().unique_id == "a"


def test_a_series_that_is_not_there_is_refused(linear: FittedModel) -> None:
    """Not explained by another one."""
    with pytest.raises(DataError, match="zeppelin"):
        linear.explain(unique_id="zeppelin")
