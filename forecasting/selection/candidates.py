"""The networks that `auto` tries, most promising first, and how many steps each may take."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from forecasting.config.job import Job
from forecasting.config.network import SegRNN, SegRNNModel, Stacked, StackedModel
from forecasting.config.selection import BUDGETS, Selection

__all__ = ["FINALISTS", "Rounds", "Setting", "candidates", "rounds", "short_context", "steps_within"]

FEW_WINDOWS: Final = 3_000  # below this, narrower networks
MANY_WINDOWS: Final = 8_000  # from here on, steps are large enough to improve a fitted line
LEAST_STEPS, MOST_STEPS = 300, 6_000
CYCLE: Final = 16  # width of a learned cycle
FIRST: Final = 0.4  # the share of the budget in which every candidate is tried
FINALISTS: Final = 3  # and as many candidates where there is time for one round only
MANY_SEEDS: Final = 600.0  # seconds from which finalists are trained with three seeds more
FIXED: Final = 4.0  # seconds that building, compiling and exporting one network takes


class Setting(NamedTuple):
    """A network with its settings, and the context that it reads."""

    title: str
    model: StackedModel | SegRNNModel
    context: int
    train: Mapping[str, Any] = MappingProxyType({})  # keys of the section `train` that differ from the job's


class Rounds(NamedTuple):
    """The plan of a search: candidates with their steps, then the seeds of the finalists and the time for all of them.

    A search without seeds has its first round only.
    """

    first: tuple[tuple[Setting, int], ...]
    seeds: tuple[int, ...]
    seconds: float  # that remain for the finalists


def candidates(job: Job, season: int, windows: int, further: int | None = None) -> tuple[Setting, ...]:
    """The settings worth trying on that many training windows of this job, the most promising first.

    `further` is a context that is longer than the job's, if one is worth trying.
    """
    longest = job.window.context
    short = short_context(job, season)
    units = 32 if windows < FEW_WINDOWS else 64
    segment = max(1, min(24, longest // 8, job.window.horizon))
    dropout = 0.2 if windows < FEW_WINDOWS else 0.1

    def stacked(title: str, context: int, **params: object) -> Setting:
        title = f"{title}, context {context}"
        return Setting(title, StackedModel(params=Stacked.model_validate({"units": [units], **params})), context)

    def segrnn(title: str, context: int, **params: object) -> Setting:
        given = {"units": 2 * units, "segment": segment, **params}
        title = f"{title}, context {context}"
        return Setting(title, SegRNNModel(params=SegRNN.model_validate(given)), context)

    linear = {"normalise": "last", "highway_start": "ridge"}
    fixed = linear | {"highway_start": "fixed_ridge", "dropout": dropout}
    segments = segrnn("segrnn on a ridge", longest, highway=longest, **linear)
    fixed_segments = segrnn("segrnn on a fixed ridge", longest, highway=longest, **fixed)
    steps = stacked("stacked GRU on a ridge", longest, cell="gru", highway=longest, **linear)
    fixed_steps = stacked("stacked GRU on a fixed ridge", longest, cell="gru", highway=longest, **fixed)
    of_many = ((segments, fixed_segments), (steps, fixed_steps))
    first, later = of_many if windows >= MANY_WINDOWS else ((fixed_segments, fixed_steps), (segments, steps))
    cycle = segrnn("segrnn, last, cycle", longest, normalise="last", dropout=dropout, cycle=CYCLE)
    cycles = (cycle,) if job.series.knows_ahead else ()
    listed = [
        *first,
        stacked("stacked LSTM, window", longest, cell="lstm", normalise="window"),
        segrnn("segrnn, last", longest, normalise="last", dropout=dropout),
        stacked("stacked GRU, last", longest, cell="gru", normalise="last", dropout=dropout),
        *cycles,
        *later,
        segrnn("segrnn, window, on a ridge", longest, **(linear | {"highway": longest, "normalise": "window"})),
        stacked("stacked GRU, short, on a ridge", short, cell="gru", highway=short, **linear),
        stacked("stacked LSTM, short", short, cell="lstm", normalise="last"),
    ]
    if further is not None:
        listed.append(segrnn("segrnn on a fixed ridge, further back", further, highway=further, **fixed))
    return tuple(one for one in listed if one.context >= longest or short < longest)


def short_context(job: Job, season: int) -> int:
    """1.25 of the longer of horizon and season, at most the job's context."""
    return min(job.window.context, max(2, round(1.25 * max(job.window.horizon, season))))


def rounds(job: Job, listed: tuple[Setting, ...], batch: int) -> Rounds:
    """How a budget is spent: in seconds of a machine with two cores, so that every machine makes the same choice."""
    seconds = _seconds(job.selection)
    spent, first = 0.0, list[tuple[Setting, int]]()
    several = seconds > BUDGETS["fast"]
    allowed = seconds * (FIRST if several else 1.0)
    share = allowed / (len(listed) if several else min(len(listed), FINALISTS))
    for candidate in listed:
        steps = steps_within(share, candidate, batch, most=MOST_STEPS // 2 if several else MOST_STEPS)
        cost = FIXED + steps * _seconds_per_step(candidate, batch)
        if first and spent + cost > 1.2 * allowed:
            continue
        spent += cost
        first.append((candidate, steps))
    more = (1 if seconds < MANY_SEEDS else 3) if several else 0
    seeds = tuple(job.train.seed + number for number in range(1, 1 + more))
    return Rounds(tuple(first), seeds, max(0.0, seconds - spent))


def steps_within(seconds: float, candidate: Setting, batch: int, *, most: int = MOST_STEPS) -> int:
    """The steps that a fit of so many seconds may take, within bounds."""
    steps = int((seconds - FIXED) / _seconds_per_step(candidate, batch))
    return min(max(steps, LEAST_STEPS), most)


def _seconds_per_step(candidate: Setting, batch: int) -> float:
    """About how long an optimizer step takes on two cores: a fixed part a time step, and its matrix products."""
    params = candidate.model.params
    if isinstance(params, SegRNN):
        steps, width = -(-candidate.context // params.segment), params.units
    else:
        steps, width = candidate.context, params.units[0]
    gates = 4 if params.cell == "lstm" else 3
    products = 6 * batch * steps * 2 * gates * width * width  # forwards, and backwards twice
    return 0.005 + 0.0002 * steps + products / 6e10


def _seconds(selection: Selection) -> float:
    return 60 * selection.minutes if selection.minutes is not None else BUDGETS[selection.budget]
