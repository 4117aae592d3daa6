"""A job and a table that a search is done with in seconds."""

import numpy as np
import pandas as pd

from forecasting.config.job import Job, parse_job
from forecasting.series.defaults import resolve
from forecasting.series.folds import Fold, folds


def made() -> tuple[Job, pd.DataFrame, Fold]:
    """Two noisy seasonal series, and a search as short as one can be."""
    rng = np.random.default_rng(4)
    hours = np.arange(700)
    parts = [
        pd.DataFrame(
            {
                "unique_id": name,
                "ds": pd.date_range("2024-01-01", periods=700, freq="h", unit="us"),
                "y": size * (10 + np.sin(2 * np.pi * hours / 24) + 0.3 * rng.normal(size=700)),
            }
        )
        for name, size in (("a", 1.0), ("b", 7.0))
    ]
    table = pd.concat(parts, ignore_index=True).astype({"unique_id": "str"})
    job = resolve(
        parse_job(
            {
                "name": "small",
                "source": {"kind": "synthetic"},
                "series": {"freq": "h", "calendar": ["hour"]},
                "window": {"context": 24, "horizon": 6},
                "model": "auto",
                "selection": {"minutes": 0.01, "longest_context": 72},
                "backtest": {"windows": 10, "step": 5},
            }
        ),
        table,
    )
    return job, table, folds(table, job)[0]
