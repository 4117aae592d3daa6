"""What a fit leaves with its weights: where they come from, and the network itself for the next warm start."""

from __future__ import annotations

from pathlib import Path

import keras

from forecasting.bundle.artifact import Origin
from forecasting.config.job import Job
from forecasting.series.folds import Fold

__all__ = ["origin_of", "save_network"]


def origin_of(origin: Origin, job: Job, fold: Fold, *, steps: int) -> Origin:
    """The origin with what this fit was told and may know."""
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
    """The network as a Keras file, without what was frozen: the next fit may learn all of it."""
    network.trainable = True
    network.save(work / "model.keras")
    return work / "model.keras"
