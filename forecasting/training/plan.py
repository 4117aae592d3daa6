"""How long a fit may take: its batches, and the rounds between two looks at the validation windows."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from forecasting.config.training import Train

__all__ = ["FitPlan", "plan"]

FEW_WINDOWS: Final = 8_000  # below this, smaller batches learn more from the same number of steps
PASSES: Final = 10  # over the training windows, within the bounds below
LEAST_STEPS, MOST_STEPS = 1_500, 6_000
ROUNDS: Final = 30
EPOCHS: Final = 10  # of sequences that are read in their order
WATCHED: Final = 8_192  # validation windows of a check, evenly spread


class FitPlan(NamedTuple):
    """A fit of `rounds` rounds of `length` optimizer steps, each followed by a check on the validation windows."""

    batch_size: int
    length: int
    rounds: int
    patience: int  # checks without a better validation loss
    passes: bool = False  # a round is one pass over the examples, or over the share drawn for it
    most: int | None = None  # examples drawn for a pass
    watched: int | None = WATCHED

    @property
    def steps(self) -> int:
        """Optimizer steps in all."""
        return self.length * self.rounds


def plan(config: Train, examples: int, *, in_order: bool = False) -> FitPlan:
    """The plan of a fit on that many examples: the configured steps or epochs, or as many steps as the data suggests.

    Examples that are read `in_order` are read in whole epochs.
    """
    size = min(config.batch_size or (64 if examples < FEW_WINDOWS else 256), max(examples, 1))
    epochs = EPOCHS if in_order and config.epochs is None else config.epochs
    if epochs is not None:
        most = config.windows_per_epoch
        length = math.ceil(min(examples, most or examples) / size)
        return FitPlan(size, length, epochs, config.patience or 3, passes=True, most=most, watched=most)
    suggested = min(max(PASSES * math.ceil(examples / size), LEAST_STEPS), MOST_STEPS)
    steps = config.steps or suggested
    rounds = min(ROUNDS, steps)
    return FitPlan(size, math.ceil(steps / rounds), rounds, config.patience or 8)
