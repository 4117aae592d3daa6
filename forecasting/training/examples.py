"""Examples that are arrays, and a fit on them that leaves no files behind."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from forecasting.config.training import Train
from forecasting.errors import DataError
from forecasting.series.windows import Batch
from forecasting.training.batches import Examples
from forecasting.training.checkpoint import Checkpoint, Round
from forecasting.training.loop import learn_best

__all__ = ["Arrays", "learn_in_memory"]


class Arrays:
    """Examples held in memory: the inputs by name (B, …) and the targets (B, M).

    A network that needs the value before each target reads it from the input `previous` (B, M). Raises DataError unless
    every array has one row per example.
    """

    def __init__(self, inputs: Batch, targets: np.ndarray) -> None:
        rows = {"targets": len(targets)} | {name: len(values) for name, values in inputs.items()}
        if not inputs or min(rows.values()) < 1 or len(set(rows.values())) > 1:
            counted = [f"{name}: {count:,}" for name, count in rows.items()]
            raise DataError("expected one input or more, and as many rows in each as in the targets; got rows", counted)
        self.inputs = inputs
        self.wanted = targets

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.wanted)

    def batch(self, indices: np.ndarray) -> Batch:
        """The inputs of some of them, by name."""
        return {name: values[indices] for name, values in self.inputs.items()}

    def targets(self, indices: np.ndarray) -> np.ndarray:
        """The targets (B, M), NaN where unknown."""
        return np.asarray(self.wanted[indices])

    def previous(self, indices: np.ndarray) -> np.ndarray:
        """The value before each target of some of them (B, M); raises DataError if it was not given."""
        if "previous" not in self.inputs:
            raise DataError(
                f"the network needs the value before each target; add the input `previous` to {sorted(self.inputs)}"
            )
        return np.asarray(self.inputs["previous"][indices])


def learn_in_memory(
    network: keras.Model, loss: Callable[..., object], train: Examples, valid: Examples, config: Train
) -> list[Round]:
    """Fit a network to examples; it ends with the weights of its best round. Returns the history.

    Raises TrainingError if the loss is not finite.
    """
    with tempfile.TemporaryDirectory() as place:
        checkpoint = Checkpoint(Path(place))
        learn_best(network, loss, train, valid, config, checkpoint, title=network.name)
    return checkpoint.history
