"""The products of a fit: the origin of its weights, the network itself, and a graph that agrees with it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import keras
import numpy as np

from forecasting.bundle.artifact import Origin
from forecasting.config.job import Job
from forecasting.errors import TrainingError
from forecasting.nn.layers.highway import wide_highway_of
from forecasting.series.folds import Fold

__all__ = ["check_parity", "origin_of", "save_network"]

PARITY: Final = 1e-5  # in the scaled space, relative above 1


def origin_of(origin: Origin, job: Job, fold: Fold, *, steps: int) -> Origin:
    """The origin, completed with the settings of this fit and the end of its data."""
    return origin.model_copy(
        update={
            "steps": steps,
            "seed": job.train.seed,
            "params": job.model.params.model_dump(mode="json"),
            "precision": job.train.precision,
            "fit_until": fold.fit_until.to_pydatetime(),
            "seen_until": fold.seen_until.to_pydatetime(),
        }
    )


def save_network(network: keras.Model, work: Path) -> Path:
    """Save the network as a Keras file, for a later fit to begin with."""
    network.save(work / "model.keras")
    return work / "model.keras"


def check_parity(parity: float, network: keras.Model) -> float:
    """The largest difference between network and graph, as given; raises TrainingError if it is far in float32.

    Two ways to sum products w x in float32 differ in proportion to Σ|w x| (Higham 2002, section 3.1), which exceeds the
    sum itself where the hundreds of weights of a highway cancel, as on a smooth series: the bound grows with Σ|w|.
    Networks of lower precision compute with fewer digits than their graphs, which are float32.
    """
    highway = wide_highway_of(network)
    weights = 0.0 if highway is None else float(np.abs(highway.get_weights()[0]).sum(axis=0).max())
    bound = PARITY * max(1.0, weights)
    if not parity <= bound and keras.config.dtype_policy().name == "float32":
        raise TrainingError(f"the exported graph differs from the network by {parity:.2g}, more than {bound:.2g}")
    return parity
