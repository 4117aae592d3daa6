"""Linear maps with weights that are known, as live models."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.artifact import Origin, open_bundle
from forecasting.bundle.assemble import assemble, spec_for
from forecasting.bundle.engine import Graphs
from forecasting.bundle.quantile_forecaster import QuantileForecaster
from forecasting.config.job import Job
from forecasting.evaluation.baselines import Linear, to_onnx
from forecasting.series.clean import clean
from forecasting.series.folds import folds
from forecasting.series.prepare import prepare

LinearModel = Callable[[pd.DataFrame, Job, Linear], QuantileForecaster]


@pytest.fixture
def linear_model(tmp_path: Path) -> LinearModel:
    """A linear map over everything that windows of a job hold, in a bundle named `ridge`."""

    def build(table: pd.DataFrame, job: Job, linear: Linear) -> QuantileForecaster:
        cleaned = clean(table, job.series).table
        data = prepare(cleaned, job, folds(cleaned, job)[0])
        spec = spec_for(job, "ridge", data.features, data.scaler, context=linear.context, quantiles=(0.5,))
        graph = to_onnx(linear, inputs=len(data.features.inputs), ahead=len(data.features.known_ahead))
        assemble(tmp_path / "linear", spec, Graphs(graph), data.valid, origin=Origin())
        return QuantileForecaster(open_bundle(tmp_path / "linear"))

    return build


@pytest.fixture(scope="session")
def lag_40(make_table: Callable[..., pd.DataFrame], make_job: Callable[..., Job]) -> tuple[pd.DataFrame, Job]:
    """Readings that depend on those 40 steps before and on nothing else, one step ahead."""
    draw = np.random.default_rng(5)
    y = list(draw.normal(size=40))
    for _ in range(1200):
        y.append(0.9 * y[-40] + 0.4 * draw.normal())
    window = {"context": 60, "horizon": 1}
    return make_table({"a": y}), make_job(window=window, backtest={"windows": 20}, train={"validation": 100})
