"""The products of a fit: the origin of its weights, the network itself, and a graph that agrees with it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import keras

from forecasting.bundle.artifact import Origin
from forecasting.config.job import Job
from forecasting.errors import TrainingError
from forecasting.series.folds import Fold

__all__ = ["check_parity", "origin_of", "save_network"]

# In the scaled space, relative above 1. Two ways to sum in float32 differ by 3e-5 where a highway has hundreds of lags
# whose weights cancel, as on a smooth series; an exporter that is wrong differs by far more.
PARITY: Final = 1e-4


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


def check_parity(parity: float) -> float:
    """The largest difference between network and graph, as given; raises TrainingError if it is far in float32.

    Networks of lower precision compute with fewer digits than their graphs, which are float32.
    """
    if not parity <= PARITY and keras.config.dtype_policy().name == "float32":
        raise TrainingError(f"the exported graph differs from the network by {parity:.2g}, more than {PARITY:g}")
    return parity
