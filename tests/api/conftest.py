"""One small fit that the tests of the API share."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import forecasting as fc
from forecasting.api.model import FittedModel
from forecasting.config.job import Job

STEPS = 200


@pytest.fixture(scope="session")
def readings() -> pd.DataFrame:
    """One hourly series with the season of a day; not to be changed."""
    hours = np.arange(STEPS)
    noise = np.random.default_rng(3).normal(0, 0.1, STEPS)
    y = 10 + np.sin(2 * np.pi * hours / 24) + noise
    stamps = pd.date_range("2024-01-01", periods=STEPS, freq="h", unit="us")
    return pd.DataFrame({"unique_id": "a", "ds": stamps, "y": y}).astype({"unique_id": "str"})


@pytest.fixture(scope="session")
def small() -> Job:
    """A job whose network learns in a second."""
    return fc.job(
        freq="h",
        horizon=4,
        series={"calendar": ["hour"]},
        window={"context": 12},
        model={"name": "stacked", "params": {"units": [4]}},
        train={"steps": 5, "batch_size": 16},
        backtest={"windows": 5},
    )


@pytest.fixture(scope="session")
def model(readings: pd.DataFrame, small: Job) -> FittedModel:
    """The small network, fitted; not to be changed."""
    return fc.fit(readings, small, in_process=True)


@pytest.fixture
def examples(readings: pd.DataFrame, small: Job, model: FittedModel, tmp_path: Path) -> dict[str, Any]:
    """The names that the examples of docstrings and pages use."""
    return {"fc": fc, "pd": pd, "df": readings, "job": small, "model": model, "folder": tmp_path}
