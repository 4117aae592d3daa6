"""Every head of numbers from raw rows to a forecast: trained, exported, calibrated, and blind to what comes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from forecasting import sources
from forecasting.bundle.artifact import Origin
from forecasting.bundle.engine import Engine
from forecasting.bundle.forecaster import open_forecaster
from forecasting.config.job import Job, parse_job
from forecasting.nn.heads import HEADS
from forecasting.series.clean import clean
from forecasting.series.folds import folds
from forecasting.training.fit import fit

NUMERIC = [name for name in HEADS if name != "categorical"]
QUANTILES = ["q0.1", "q0.25", "q0.5", "q0.75", "q0.9"]


class Trained(NamedTuple):
    """A job, its clean table and the bundle of its network."""

    job: Job
    table: pd.DataFrame
    bundle: Path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Trained]:
    """Fits the head of a name once, on four intermittent series of which some days are missing."""
    kept: dict[tuple[str, int | None], Trained] = {}

    def make(name: str, block: int | None = None) -> Trained:
        if (name, block) not in kept:
            job = _job(name, block)
            table = clean(sources.read(job), job.series).table
            work = tmp_path_factory.mktemp(name)
            kept[name, block] = Trained(job, table, fit(table, job, folds(table, job)[0], work, origin=Origin()).bundle)
        return kept[name, block]

    return make


def _job(head: str, block: int | None) -> Job:
    source = {"kind": "synthetic", "intermittent": True, "series": 4, "length": 260, "freq": "D", "season": 7}
    series = {"freq": "D", "integer": True, "lower": 0, "scale": "none", "calendar": ["day_of_week"]}
    return parse_job(
        {
            "name": "counts",
            "source": {**source, "noise": 0.2, "missing": 0.02, "seed": 3},
            "series": series if head == "negative_binomial" else {**series, "scale": "standard"},
            "window": {"context": 14, "horizon": 6, "block": block},
            "model": {"name": "stacked", "params": {"cell": "gru", "units": [4]}},
            "head": {"name": head, "quantiles": [0.1, 0.25, 0.5, 0.75, 0.9]},
            "train": {"epochs": 1, "batch_size": 64, "learning_rate": 0.01},
            "forecast": {"paths": 40},
            "backtest": {"windows": 5},
        }
    )


def forecast(trained: Trained, table: pd.DataFrame) -> pd.DataFrame:
    """What the loaded bundle says after the last row."""
    return open_forecaster(trained.bundle).forecast(table)


@pytest.mark.parametrize(("name", "block"), [*((name, None) for name in NUMERIC), ("negative_binomial", 4)])
def test_forecasts_are_counts_in_order(name: str, block: int | None, trained: Callable[..., Trained]) -> None:
    """All steps of all series, at once and over sample paths: finite, whole, not negative, quantiles increasing."""
    done = trained(name, block)
    result = forecast(done, done.table)
    values = result[QUANTILES].to_numpy()
    assert values.shape == (4 * 6, 5)
    assert np.isfinite(values).all()
    assert (values >= 0).all()
    np.testing.assert_array_equal(values, np.round(values))
    assert (np.diff(values, axis=1) >= 0).all()
    assert values[:, -1].max() > values[:, 0].min()


@pytest.mark.parametrize("name", NUMERIC)
def test_graph_gives_what_its_head_puts_out(name: str, trained: Callable[..., Trained]) -> None:
    """The output has the name that the predictor asks for and one column per parameter."""
    engine = Engine((trained(name).bundle / "model.onnx").read_bytes())
    batch = {key: np.zeros((2, *shape[1:]), "float32") for key, shape in engine.inputs.items()}
    sizes: dict[str, Any] = {"quantile": 5, "normal": 2, "student_t": 3, "negative_binomial": 2}
    outputs = engine.run(batch)
    assert {key: value.shape for key, value in outputs.items()} == {
        "quantiles" if name == "quantile" else "parameters": (2, 6, sizes[name])
    }


@pytest.mark.parametrize("name", NUMERIC)
def test_nothing_after_the_cutoff_moves_a_forecast(name: str, trained: Callable[..., Trained]) -> None:
    """Other readings after a cutoff, and other readings before it: only the latter change what was forecast there."""
    done = trained(name)
    cutoff = done.table["ds"].max() - pd.Timedelta(days=20)
    forecaster = open_forecaster(done.bundle)

    def at_cutoff(changed: Any) -> np.ndarray:
        table = done.table.assign(y=done.table["y"].mask(changed & done.table["y"].notna(), 50.0))
        return forecaster.at(table, pd.DatetimeIndex([cutoff])).values

    before = at_cutoff(False)
    np.testing.assert_array_equal(at_cutoff(done.table["ds"] > cutoff), before)
    assert not np.array_equal(at_cutoff(done.table["ds"] <= cutoff), before)


def test_a_series_of_zeros_alone_has_a_forecast(trained: Callable[..., Trained]) -> None:
    """An article that was never sold: a finite forecast, and mostly zero."""
    done = trained("negative_binomial")
    result = forecast(done, done.table.assign(y=0.0))
    assert np.isfinite(result[QUANTILES].to_numpy()).all()
    assert (result["q0.1"] == 0).all()
