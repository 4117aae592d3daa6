"""The state of a fit on disk after every round, so that a killed one goes on as if nothing had happened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras

from forecasting.runtime.files import replace, write_text

__all__ = ["Checkpoint", "Round"]

Round = dict[str, float]  # epoch (its number, 0 before the first step), loss, val_loss, seconds, gradient_norm, clipped


class Checkpoint:
    """Weights, optimizer state, and history of a fit in one folder.

    `history.json` is written last and lists the complete files; a file that it does not list is never read.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.history: list[Round] = []

    @property
    def best(self) -> int:
        """The number of the round with the lowest validation loss; the earlier one of two equals."""
        return int(min(self.history, key=lambda row: row["val_loss"])["epoch"])

    @property
    def last(self) -> int:
        """The number of the last complete round; 0 before the first one."""
        return int(self.history[-1]["epoch"]) if self.history else 0

    def exhausted(self, patience: int) -> bool:
        """Whether the last `patience` rounds brought nothing better."""
        return bool(self.history) and self.last - self.best >= patience

    def restore(self, network: keras.Model) -> int:
        """Load the last complete round, if there is one, into the compiled network; return its number."""
        log = self.directory / "history.json"
        if not log.exists():
            return 0
        self.history = json.loads(log.read_text(encoding="utf-8"))
        network.optimizer.build(network.trainable_variables)  # else Keras leaves its moments out of what it loads
        network.load_weights(self._weights(self.last))
        return self.last

    def save(self, network: keras.Model, row: Round) -> None:
        """Add a round; its weights are complete before the history names it."""
        self.history.append(row)
        if not network.optimizer.built:  # before the first step
            network.optimizer.build(network.trainable_variables)
        replace(self._weights(self.last), network.save_weights)
        write_text(self.directory / "history.json", json.dumps(self.history))
        for number in range(self.last):
            if number != self.best:
                self._weights(number).unlink(missing_ok=True)

    def load_best(self, network: keras.Model) -> dict[str, Any]:
        """Put the best round's weights into the network; return its row of the history."""
        network.load_weights(self._weights(self.best))
        return next(row for row in self.history if row["epoch"] == self.best)

    def _weights(self, epoch: int) -> Path:
        return self.directory / f"epoch-{epoch}.weights.h5"
