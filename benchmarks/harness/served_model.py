"""A home with a served model of the size that is measured: LSTM 2x64, context 96, horizon 24, random weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.harness.homes import registry_of
from benchmarks.harness.readings import long_table, stamps, walks
from forecasting.config.job import Job, parse_job

__all__ = ["CONTEXT", "HORIZON", "NAME", "UNITS", "job", "make", "request"]

NAME: Final = "buoy"
CONTEXT, HORIZON, UNITS = 96, 24, (64, 64)
_ROWS: Final = 1500  # readings of each of four series, on which it is calibrated


def make(home: Path, versions: int = 2) -> Path:
    """Register that many versions, each with other weights, and make the first one champion; in another process.

    Making a network needs Keras and TensorFlow, which have no place beside what is measured.
    """
    subprocess.run([sys.executable, "-m", __name__, str(home), str(versions)], check=True)
    return home


def request() -> dict[str, Any]:
    """A forecast request with one regular hourly history."""
    values = np.random.default_rng(0).normal(size=CONTEXT).cumsum().round(3)
    times = stamps(CONTEXT).strftime("%Y-%m-%dT%H:%M:%S")
    return {"name": NAME, "columns": {"unique_id": ["s0000"] * CONTEXT, "ds": [*times], "y": values.tolist()}}


def job() -> Job:
    """The job of the model."""
    return parse_job(
        {
            "name": NAME,
            "source": {"kind": "synthetic"},
            "series": {"freq": "h", "calendar": ["hour"]},
            "window": {"context": CONTEXT, "horizon": HORIZON},
            "model": {"name": "stacked", "params": {"cell": "lstm", "units": list(UNITS)}},
        }
    )


def main() -> None:
    """Make the home that is named."""
    home = Path(sys.argv[1])
    registry = registry_of(home)
    for seed in range(1, int(sys.argv[2]) + 1):
        run = registry.runs.start(NAME, f"key{seed}", {})
        bundle = _bundle(home / "made" / str(seed), seed)
        registry.versions.register(NAME, run.run_id, bundle, verdict="passed", metrics={"wql": 0.25})
    registry.aliases.promote(NAME, 1)


def _bundle(work: Path, seed: int) -> Path:
    """The bundle of a network that was not trained, calibrated on random walks."""
    import keras

    from forecasting.bundle.artifact import Origin
    from forecasting.nn import heads, models
    from forecasting.series.clean import clean
    from forecasting.series.defaults import resolve
    from forecasting.series.folds import folds
    from forecasting.series.prepare import prepare
    from forecasting.training.fit import export_graphs, shapes, write_bundle

    keras.utils.set_random_seed(seed)
    made = job()
    table = clean(long_table("abcd", walks(np.random.default_rng(1), 4, _ROWS)), made.series).table
    made = resolve(made, table)
    data = prepare(table, made, folds(table, made)[0])
    network = models.build(made.model.params, shapes(made, data.features, data.layout), heads.build(made.head))
    graphs, parity = export_graphs(network, made, data.valid.batch(np.arange(32)))
    work.mkdir(parents=True, exist_ok=True)
    return write_bundle(network, graphs, data, made, work, origin=Origin(seed=seed, parity=parity))


if __name__ == "__main__":
    main()
