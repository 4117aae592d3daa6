"""An explanation in a sentence: which lags and inputs move a forecast, by the names that people have for them."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from forecasting.columns import Y
from forecasting.config.frequency import Frequency
from forecasting.insight.attribution import Explanation
from forecasting.series.calendar import season_length
from forecasting.series.frequency import fixed_step

__all__ = ["Contribution", "causes", "cycles", "sentence"]

_ENOUGH: Final = 2 / 3  # of what moves a forecast its way is named
_MOST: Final = 3  # causes in a sentence
_AGAINST: Final = 1 / 3  # of what moves it its way: as much in the other direction is named, too

_DAY: Final = np.timedelta64(1, "D")
_HOUR: Final = np.timedelta64(1, "h")
_OF_CALENDARS: Final = {  # by the number of steps
    4: "the same quarter last year",
    5: "the same weekday last week",
    12: "the same month last year",
    24: "the same half of the month last year",
    52: "the same week last year",
}


class Contribution(NamedTuple):
    """Some readings, and what they contribute to the mean of the steps in question, in units of the target."""

    name: str
    amount: float


def sentence(found: Explanation, step: int | None = None) -> str:
    """Why the forecast of one step (1 is the first), or the mean of all, differs from the last reading."""
    steps = slice(None) if step is None else slice(step - 1, step)
    forecast, baseline = float(found.forecast[steps].mean()), float(found.baseline[steps].mean())
    change = forecast - baseline
    for_what = f"{found.ds.size} steps, {forecast:.4g} on average" if step is None else f"step {step}, {forecast:.4g}"
    begin = f"{for_what}: {'up' if change > 0 else 'down'} by {abs(change):.3g}"
    flat = f"from {baseline:.4g}, the forecast if all had stayed at {found.last:.4g}"
    every = causes(found, step)
    along = [cause for cause in every if cause.amount * change > 0]
    against = [cause for cause in every if cause.amount * change < 0]
    if not along:
        return f"{for_what}: nothing that was read changes it from {baseline:.4g}"
    total = sum(abs(cause.amount) for cause in along)
    named = _leading(along, total)
    text = f"{begin} {flat}, mostly because of {' and '.join(cause.name for cause in named)}"
    if against and abs(against[0].amount) > _AGAINST * total:
        text += f", against {against[0].name}"
    return text


def causes(found: Explanation, step: int | None = None) -> list[Contribution]:
    """All groups of readings by their contribution to one step, or to the mean of all; the largest first."""
    steps = slice(None) if step is None else slice(step - 1, step)
    groups = [
        Contribution(name if input == Y else f"{input}, {name}", float(values[steps][mask[steps]].sum()))
        for input, values in found.by_lag.items()
        for name, mask in _groups(found, values.shape)
    ]
    groups += [
        Contribution(f"{input} in the steps ahead", float(values[steps].sum())) for input, values in found.ahead.items()
    ]
    count = len(found.forecast[steps])
    scaled = [Contribution(name, value / count) for name, value in groups if value]
    return sorted(scaled, key=lambda cause: -abs(cause.amount))


def cycles(freq: Frequency) -> list[tuple[str, int]]:
    """What people compare a reading with, and how many steps before it that lies."""
    step = fixed_step(freq)
    if step is None:
        season = season_length(freq)
        return [(_OF_CALENDARS.get(season, "one season before"), season)] if season > 1 else []
    if step >= _DAY:
        spans = [("the same weekday last week", 7 * _DAY), ("the same weekday last year", 364 * _DAY)]
    else:
        what = "hour" if step == _HOUR else "time"
        spans = [(f"the same {what} yesterday", _DAY), (f"the same {what} last week", 7 * _DAY)]
    return [(name, int(span // step)) for name, span in spans if span % step == np.timedelta64(0) and span > step]


def _leading(along: list[Contribution], total: float) -> list[Contribution]:
    """The first causes that make up two thirds of the total, at most three."""
    reached = np.cumsum([abs(cause.amount) for cause in along])
    return along[: min(_MOST, int(np.searchsorted(reached, _ENOUGH * total)) + 1)]


def _groups(found: Explanation, shape: tuple[int, ...]) -> list[tuple[str, np.ndarray]]:
    """Every pair of step and lag (H, T) in one group: a cycle before that step, or a range of lags.

    Ranges double in length, as far as the context goes.
    """
    horizon, context = shape
    lags = np.broadcast_to(np.arange(1, context + 1), shape)
    before = lags + np.arange(horizon)[:, None]  # steps from a reading to the step that is forecast
    free = np.ones(shape, dtype=bool)
    groups = []
    near = _tolerance(found.spec.features.freq)
    for name, steps in cycles(found.spec.features.freq):
        mask = free & (np.abs(before - steps) <= near)
        groups.append((f"{name} ({steps} steps before it)", mask))
        free = free & ~mask
    first = 1
    while first <= context:
        last = min(max(first, 2 * first - 2), context)
        groups.append((_range(first, last), free & (lags >= first) & (lags <= last)))
        first = last + 1
    return groups


def _range(first: int, last: int) -> str:
    if last == 1:
        return "the last reading"
    return f"lag {first}" if first == last else f"lags {first} to {last}"


def _tolerance(freq: Frequency) -> int:
    """Steps that still count as the same time of day: half an hour, where steps are shorter than that."""
    step = fixed_step(freq)
    return 0 if step is None or step >= _HOUR else int(_HOUR // (2 * step))
