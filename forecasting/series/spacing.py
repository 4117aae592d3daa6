"""How far apart readings lie: the step that most of them keep, and single ones that are far from all others."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from forecasting.columns import DS
from forecasting.config.series import Series
from forecasting.series.frequency import Grid, fitting
from forecasting.series.sorted_rows import Ordered

__all__ = ["Stray", "explain", "strays", "usual_step"]

_ENOUGH: Final = 20  # readings of a series before anything is said of how far apart they are
_FEW: Final = 3  # readings at an end that may be far from all others


class Stray(NamedTuple):
    """The outermost reading of a few that lie further from the rest of their series than that is long."""

    row: int  # in the table as it came
    sentence: str


def usual_step(body: Ordered) -> str:
    """What to say where most readings lie the same number of steps apart, and more than one; else nothing."""
    at, index = _readings(body)
    code = body.code[at]
    apart = np.diff(index)[np.diff(code) == 0]
    usual = int(np.median(apart)) if len(apart) >= _ENOUGH else 1
    if usual < 2 or (apart == usual).mean() <= 0.5:
        return ""
    fit = fitting(body.table[DS].iloc[at[code == np.bincount(code).argmax()]])
    remedy = f"series.freq: {fit} would fit" if fit else "correct series.freq"
    return f"most readings lie {usual} steps of {body.series.freq} apart: {remedy}"


def strays(body: Ordered) -> list[Stray]:
    """Of every series with enough readings, those few at an end that stand alone."""
    at, index = _readings(body)
    code = body.code[at]
    first = np.flatnonzero(np.diff(code, prepend=-1))
    last = np.append(first[1:], len(code))[: len(first)] - 1
    enough = last - first + 1 >= _ENOUGH
    first, last = first[enough], last[enough]
    found: dict[int, Stray] = {}
    for few in range(1, _FEW + 1):
        for side, outer, inner, end in (("before", last, last - few, first), ("after", first, first + few, last)):
            step = -1 if side == "before" else 1
            gap = np.abs(index[inner - step] - index[inner])
            for series in np.flatnonzero(gap > np.abs(index[inner] - index[end])):
                place = at[outer[series]]
                found.setdefault(
                    int(place), Stray(int(body.row[place]), _sentence(body, place, int(gap[series]), side))
                )
    return list(found.values())


def explain(table: pd.DataFrame, series: Series) -> str:
    """What in the spacing of a table may be why there is too little of it; begins with `; `, empty for nothing."""
    body = Ordered.of(table, series)
    found = [*[stray.sentence for stray in strays(body)[:1]], usual_step(body)]
    return "".join(f"; {sentence}" for sentence in found if sentence)


def _readings(body: Ordered) -> tuple[np.ndarray, np.ndarray]:
    """Where the readings stand, each stamp once, and their steps on the grid."""
    at = np.flatnonzero(body.fresh & ~body.missing)
    if not len(at):
        return at, at
    return at, Grid.around(body.table[DS], body.series.freq).locate(body.table[DS])[0][at]


def _sentence(body: Ordered, place: int, gap: int, side: str) -> str:
    key = "end" if side == "before" else "start"
    where = "after the one before it" if side == "before" else "before the one after it"
    return (
        f"{body.names[body.code[place]]} has a reading at {body.table[DS].iloc[place]}, {gap:,} steps of"
        f" {body.series.freq} {where}: correct or remove it, or set series.{key}"
    )
