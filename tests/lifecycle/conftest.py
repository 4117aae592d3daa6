"""Networks of a made-up job that the tests of its life share."""

import pandas as pd
import pytest

from forecasting import sources
from forecasting.bundle.artifact import Origin
from forecasting.config.job import parse_job
from forecasting.evaluation.judging import fit_baselines
from forecasting.series.clean import clean
from forecasting.series.folds import folds
from forecasting.storage.snapshot import Snapshot
from tests.lifecycle.well import World

NEW = 60  # hours since the champion's fit


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Fitted once; no test changes a bundle."""
    import keras

    from forecasting.training.fit import fit

    job = parse_job(
        {
            "name": "well",
            "source": {"kind": "synthetic", "series": 2, "length": 400, "season": 24, "noise": 0.1, "seed": 1},
            "series": {"freq": "h"},
            "window": {"context": 24, "horizon": 4},
            "model": {"name": "stacked", "params": {"cell": "gru", "units": [8]}},
            "train": {"epochs": 10, "batch_size": 32, "learning_rate": 0.02},
            "backtest": {"windows": 12, "step": 4},
            "gate": {"baselines": ["naive"], "coverage": [0.3, 1.0], "fallback": "none"},
        }
    )
    place, before = tmp_path_factory.mktemp("well"), keras.config.dtype_policy()
    table = clean(sources.read(job), job.series).table
    old = table[table["ds"] <= table["ds"].max() - pd.Timedelta(hours=NEW)]
    older = fit(old, job, folds(old, job)[0], place / "older", origin=Origin())
    newer = fit(table, job, folds(table, job)[0], place / "newer", origin=Origin())
    keras.config.set_dtype_policy(before)
    data = Snapshot(0, "f", table, pd.DataFrame(), folds(table, job), job)
    return World(job, data, older, newer, fit_baselines(table, job, data.folds, place / "rivals", origin=Origin()))
