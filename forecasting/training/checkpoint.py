"""The state of a fit on disk after every epoch, so that a killed one resumes without a trace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras

from forecasting.runtime.files import replace, write_text

__all__ = ["Checkpoint", "Epoch"]

Epoch = dict[str, float]  # epoch, loss, val_loss, seconds


class Checkpoint:
    """Weights, optimizer state, and history of a fit in one folder.

    `history.json` is written last and lists the complete files; a file that it does not list is never read.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.history: list[Epoch] = []

    @property
    def best(self) -> int:
        """The epoch, counted from 1, with the lowest validation loss; the earlier one of two equals."""
        return min(range(len(self.history)), key=lambda i: self.history[i]["val_loss"]) + 1

    def exhausted(self, patience: int) -> bool:
        """Whether the last `patience` epochs brought no improvement."""
        return len(self.history) - self.best >= patience

    def restore(self, network: keras.Model) -> int:
        """Load the last complete epoch, if any, into the compiled network; returns the number of finished epochs."""
        log = self.directory / "history.json"
        if not log.exists():
            return 0
        self.history = json.loads(log.read_text(encoding="utf-8"))
        network.optimizer.build(network.trainable_variables)  # otherwise Keras leaves its moments out when it loads
        network.load_weights(self._weights(len(self.history)))
        return len(self.history)

    def save(self, network: keras.Model, epoch: Epoch) -> None:
        """Add an epoch; its weights are complete before the history names it."""
        self.history.append(epoch)
        count = len(self.history)
        replace(self._weights(count), network.save_weights)
        write_text(self.directory / "history.json", json.dumps(self.history))
        for number in range(1, count):
            if number != self.best:
                self._weights(number).unlink(missing_ok=True)

    def load_best(self, network: keras.Model) -> dict[str, Any]:
        """Put the best epoch's weights into the network; returns that epoch's line of the history."""
        network.load_weights(self._weights(self.best))
        return self.history[self.best - 1]

    def _weights(self, epoch: int) -> Path:
        return self.directory / f"epoch-{epoch}.weights.h5"
