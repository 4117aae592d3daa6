"""The jobs that are measured: two recurrent layers of 64 units and SegRNN, 96 hours to the next 24, random walks."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.harness.readings import long_table, walks
from benchmarks.harness.served_model import CONTEXT, HORIZON, UNITS
from forecasting.config.job import Job, parse_job
from forecasting.series.clean import clean
from forecasting.series.defaults import resolve
from forecasting.series.folds import folds
from forecasting.series.prepare import Prepared, prepare

__all__ = ["NETWORKS", "Measured", "flops", "measured"]

NETWORKS: Final[dict[str, dict[str, Any]]] = {
    "lstm": {"name": "stacked", "params": {"cell": "lstm", "units": UNITS}},
    "gru": {"name": "stacked", "params": {"cell": "gru", "units": UNITS}},
    "bidirectional": {"name": "stacked", "params": {"cell": "lstm", "units": UNITS, "bidirectional": True}},
    "segrnn": {"name": "segrnn", "params": {"units": 512}},
}
_GATES: Final = {"lstm": 4, "gru": 3}


class Measured(NamedTuple):
    """A job, its clean table, and what its fit may see."""

    job: Job
    table: pd.DataFrame
    data: Prepared


def measured(
    model: dict[str, Any], *, series: int = 32, rows: int = 1_000, origins: int = 10, **window: int
) -> Measured:
    """The job of a model on so many random walks; the window is that of the other benchmarks unless given."""
    job = parse_job(
        {
            "name": "speed",
            "source": {"kind": "synthetic"},
            "series": {"freq": "h"},
            "window": {"context": CONTEXT, "horizon": HORIZON} | window,
            "model": model,
            "backtest": {"windows": origins},
        }
    )
    names = [f"series-{number:05d}" for number in range(series)]
    table = clean(long_table(names, walks(np.random.default_rng(1), series, rows)), job.series).table
    job = resolve(job, table)
    return Measured(job, table, prepare(table, job, folds(table, job)[0]))


def flops(network: str) -> float | None:
    """Floating-point operations in the products of the recurrent layers for one window of training.

    Forward, and backward for inputs and for weights; the first layer's inputs need no gradient. None for SegRNN.
    """
    if network == "segrnn":
        return None
    both = 1 + (network == "bidirectional")
    cell = 4 if network == "bidirectional" else _GATES[network]
    widths = (1, *(both * units for units in UNITS))
    weights = [cell * units * (width + units) for width, units in zip(widths, UNITS, strict=False)]
    return 2.0 * CONTEXT * both * (3 * sum(weights) - cell * UNITS[0] * widths[0])
