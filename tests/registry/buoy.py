"""Small bundles of a made-up job, and what a registry says of it."""

from pathlib import Path

import numpy as np

from forecasting.bundle.artifact import Origin, write
from forecasting.bundle.calibration import Calibration
from forecasting.bundle.engine import Graphs
from forecasting.bundle.spec import Spec, TableSpec
from forecasting.evaluation.baselines import Linear, to_onnx
from forecasting.registry.registry import Registry
from forecasting.series.features import Features
from forecasting.series.scaling import Scaler

JOB = "buoy"


def write_bundle(directory: Path, *, seed: int = 0) -> Path:
    """A linear model of 4 steps that forecasts 2; another seed is another model."""
    random = np.random.default_rng(seed)
    linear = Linear(4, random.normal(size=(4, 2)), np.empty((0, 2)), np.zeros(2))
    spec = Spec(
        job=JOB,
        model="drift",
        table=TableSpec(freq="h"),
        features=Features(freq="h"),
        scaler=Scaler(),
        context=4,
        horizon=2,
        quantiles=(0.5,),
        wanted=(0.1, 0.5, 0.9),
    )
    return write(
        directory,
        spec,
        Graphs(to_onnx(linear, inputs=1, ahead=0)),
        calibration=Calibration((0.5,), np.sort(random.normal(size=(2, 1, 20)).astype(np.float32))),
        golden={"past": random.normal(size=(3, 4, 1)).astype(np.float32)},
        origin=Origin(),
    )


def aliases(registry: Registry) -> dict[str, int]:
    """Which version each alias names."""
    table = registry.versions.table(JOB)
    return {a: v for v, text in zip(table["version"], table["aliases"], strict=True) for a in text.split(", ") if a}
