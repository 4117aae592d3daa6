"""The attempts of a run: each challenger with its first weights and its fits, and the order of judgment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from forecasting.config.job import Job
from forecasting.evaluation.judging import Candidate
from forecasting.training.records import Fitted, Start

__all__ = ["Attempt", "candidates"]


class Attempt(NamedTuple):
    """A challenger: its first weights, and its fit of each fold."""

    start: Start
    fits: tuple[Fitted, ...]

    @property
    def best_epoch(self) -> int:
        """The number of the round of the last fold's fit that validation chose; 0: before its first step."""
        curves = self.fits[-1].curves
        return int(curves["epoch"].iloc[int(curves["val_loss"].to_numpy().argmin())])


def candidates(job: Job, attempts: Sequence[Attempt], rivals: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The last challenger, then the baselines, then the challengers that were refused before, for the leaderboard."""
    names = [*(f"{job.model.name}:{attempt.start.init}" for attempt in attempts[:-1]), job.model.name]
    tried = [
        Candidate(name, tuple(fitted.bundle for fitted in attempt.fits))
        for name, attempt in zip(names, attempts, strict=True)
    ]
    return (tried[-1], *rivals, *tried[:-1])
