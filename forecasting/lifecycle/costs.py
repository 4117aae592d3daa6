"""The cost and the gain of every challenger of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from forecasting.bundle.artifact import read_manifest
from forecasting.config.job import Job
from forecasting.evaluation.judging import CHAMPION, Judgment
from forecasting.lifecycle.attempts import Attempt, candidates

__all__ = ["costs"]


def costs(job: Job, attempts: Sequence[Attempt], held: Judgment) -> list[dict[str, Any]]:
    """One row for each challenger, in the order of the attempts: seconds, optimizer steps, and the primary metric.

    `over_champion` and `over_scratch` are the shares by which that metric is lower than theirs; None where there was
    no champion, or no attempt from scratch after a warm one.
    """
    board = held.leaderboard.set_index("model")[job.gate.primary]
    judged, *refused = (float(board[candidate.name]) for candidate in candidates(job, attempts, ()))
    champion = float(board[CHAMPION]) if CHAMPION in board.index else None
    cold = judged if refused and not attempts[-1].start.warm else None
    return [
        {
            "init": attempt.start.init,
            "from_version": attempt.start.version,
            "seconds": round(float(sum(fitted.curves["seconds"].sum() for fitted in attempt.fits)), 3),
            "steps": sum(read_manifest(fitted.bundle).origin.steps for fitted in attempt.fits),
            job.gate.primary: _finite(value),
            "over_champion": _gain(value, champion),
            "over_scratch": _gain(value, cold) if attempt.start.warm else None,
            "note": attempt.start.note,
        }
        for attempt, value in zip(attempts, (*refused, judged), strict=True)
    ]


def _gain(value: float, other: float | None) -> float | None:
    return None if not other else _finite(1 - value / other)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
