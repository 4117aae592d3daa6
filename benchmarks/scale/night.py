"""A night of many jobs on some machines, event by event: runs queue for places, fail, and are made again."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

__all__ = ["Fleet", "Night", "Run", "live_through"]

_NOTICED: Final = 600.0  # seconds after which a run whose process died is set to Crashed and made again


class Run(NamedTuple):
    """A flow run: when it is due, how long it takes, and what follows when it has ended."""

    flow: str
    due: float  # seconds after the night began
    seconds: float
    then: tuple[Run, ...] = ()  # their `due` counts from the end of this one


class Fleet(NamedTuple):
    """The machines, and what goes wrong on them."""

    machines: int
    places: int  # runs that a machine makes at a time
    failing: float = 0.0  # share of the attempts that die somewhere on the way
    lost_at: float | None = None  # when the first machine is lost for good, with what runs on it


@dataclass
class Night:
    """What came of it."""

    ends: dict[str, float] = field(default_factory=dict)  # of each flow, when its last run ended
    attempts: int = 0
    failed: int = 0
    busy: float = 0.0  # seconds of all places
    longest_wait: float = 0.0

    @property
    def end(self) -> float:
        """When everything was done."""
        return max(self.ends.values(), default=0.0)


def live_through(runs: Sequence[Run], fleet: Fleet, *, seed: int = 1) -> Night:
    """Whoever is due first has the first free place; the same seed gives the same night.

    A run that died begins anew ten minutes later: flows repeat nothing that was committed, but this counts its whole
    time again. With a machine lost, at least one other must be left.
    """
    draw, night = np.random.default_rng(seed), Night()
    waiting = [(run.due, number, run) for number, run in enumerate(runs)]
    heapq.heapify(waiting)
    places = [(0.0, place) for place in range(fleet.machines * fleet.places)]
    number = len(waiting)
    while waiting:
        due, _, run = heapq.heappop(waiting)
        begin, place = _place(places, fleet, due)
        took, died = _attempt(run, begin, fleet, draw, lost=place < fleet.places)
        night.attempts += 1
        night.failed += died
        night.busy += took
        night.longest_wait = max(night.longest_wait, begin - due)
        heapq.heappush(places, (begin + took, place))
        end = begin + took
        if not died:
            night.ends[run.flow] = max(night.ends.get(run.flow, 0.0), end)
        for following in run.then if not died else (run._replace(due=_NOTICED),):
            number += 1
            heapq.heappush(waiting, (end + following.due, number, following))
    return night


def _place(places: list[tuple[float, int]], fleet: Fleet, due: float) -> tuple[float, int]:
    """When a run that is due then can begin, and where: the first free place of a machine that is still there."""
    while True:
        free, place = heapq.heappop(places)
        begin = max(due, free)
        if fleet.lost_at is None or place >= fleet.places or begin < fleet.lost_at:
            return begin, place


def _attempt(run: Run, begin: float, fleet: Fleet, draw: np.random.Generator, *, lost: bool) -> tuple[float, bool]:
    """How long the place is taken, and whether the run died; `lost`: it is on the machine that may be lost."""
    died = bool(draw.random() < fleet.failing)
    took = run.seconds * draw.random() if died else run.seconds
    if lost and fleet.lost_at is not None and begin + took > fleet.lost_at:
        return max(fleet.lost_at - begin, 0.0), True
    return took, died
