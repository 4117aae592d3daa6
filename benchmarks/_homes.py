"""A home with a served model of the size that is measured: LSTM 2x64, context 96, horizon 24, random weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from forecasting.config.job import parse_job
from forecasting.config.settings import Settings

__all__ = ["CONTEXT", "FORECAST", "HORIZON", "NAME", "UNITS", "make", "request", "settings_of"]

NAME: Final = "buoy"
CONTEXT, HORIZON, UNITS = 96, 24, (64, 64)
FORECAST: Final = "/v1/forecast"


def settings_of(home: Path) -> Settings:
    """The settings of that home, with its own database as tracking server."""
    return Settings(home=home, tracking_uri=f"sqlite:///{home / 'mlflow.db'}")


def make(home: Path, versions: int = 2) -> Path:
    """Register that many versions, each with other weights, and make the first one champion; in another process.

    Making a network needs Keras and TensorFlow, which have no place beside what is measured.
    """
    subprocess.run([sys.executable, "-m", "benchmarks._homes", str(home), str(versions)], check=True)
    return home


def request(rows: int = CONTEXT, series: int = 1, *, draw: int = 0) -> dict[str, Any]:
    """A forecast request with regular hourly histories."""
    random = np.random.default_rng(draw)
    stamps = pd.date_range("2026-01-05", periods=rows, freq="h").strftime("%Y-%m-%dT%H:%M:%S").tolist()
    names = [f"s{number:04d}" for number in range(series)]
    values = random.normal(size=(series, rows)).cumsum(axis=1).round(3)
    table = {"unique_id": np.repeat(names, rows).tolist(), "ds": stamps * series, "y": values.ravel().tolist()}
    return {"name": NAME, "columns": table}


def main() -> None:
    """Make the home that is named."""
    home = Path(sys.argv[1])
    from forecasting.registry.registry import Registry

    place = settings_of(home)
    registry = Registry(place.tracking_uri, home)
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
    from forecasting.series.folds import folds
    from forecasting.series.prepare import prepare
    from forecasting.training.fit import export_graphs, shapes, write_bundle

    keras.utils.set_random_seed(seed)
    job = parse_job(
        {
            "name": NAME,
            "source": {"kind": "synthetic"},
            "series": {"freq": "h", "calendar": ["hour"]},
            "window": {"context": CONTEXT, "horizon": HORIZON},
            "model": {"name": "stacked", "params": {"cell": "lstm", "units": list(UNITS)}},
        }
    )
    table = clean(_walks(), job.series).table
    data = prepare(table, job, folds(table, job)[0])
    head = heads.build(job.head.name, job.head.quantiles)
    network = models.build(job.model.name, job.model.params, shapes(job, data.features, data.layout), head)
    graphs, parity = export_graphs(network, job, data.valid.batch(np.arange(32)))
    work.mkdir(parents=True, exist_ok=True)
    return write_bundle(network, graphs, data, job, work, origin=Origin(seed=seed, parity=parity))


def _walks() -> pd.DataFrame:
    random, rows = np.random.default_rng(1), 1500
    stamps = pd.date_range("2025-01-01", periods=rows, freq="h", unit="us")
    return pd.concat(
        pd.DataFrame({"unique_id": pd.array([name] * rows, dtype="str"), "ds": stamps, "y": walk})
        for name, walk in zip("abcd", random.normal(size=(4, rows)).cumsum(axis=1), strict=True)
    ).reset_index(drop=True)


if __name__ == "__main__":
    main()
