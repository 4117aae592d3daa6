"""How unusual a reading is: p-values against stored forecasts, calibrated on earlier readings, and events of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import ceil, erf
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecasting.bundle.numerics import normal_quantile
from forecasting.columns import DS, UNIQUE_ID, Y

__all__ = ["JUDGED", "KINDS", "AlarmRule", "conformal", "join", "judge", "normal_scores", "outer_chance"]

KINDS: Final = ("spike", "level", "flat")
JUDGED: Final = ("z", "same", "level", "chance", "kind", "strange")  # what `judge` adds to a reading
_SHARES: Final = (0.5, 0.25, 0.25)  # of the false alarms, for each kind
_FAR: Final = 1000.0  # standard deviations: nothing is further off
_CLIPPED: Final = 4.0  # standard deviations that one reading may add to a level
_LEAST: Final = 50  # earlier readings before any of them count
_OWN: Final = 200  # earlier readings of a series before those of the others count no longer
_POOLED: Final = 20_000  # of all series
_TAIL: Final = (10, 100, 0.1)  # least and most readings that the tail is read from, and their share
_STRANGE: Final = 50.0  # times rarer than an alarm: no reading to measure others by

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class AlarmRule(NamedTuple):
    """When a reading is an alarm, and which alarms are one event."""

    alpha: float  # the chance below which a reading is an alarm
    window: int  # readings that a level is the mean of; alarms no further apart are one event
    memory: int  # earlier readings of a series that it is compared with


def normal_scores(y: Floats, forecast: Floats, levels: Floats) -> Floats:
    """Where readings (B,) stand among quantiles (B, Q) of levels (Q,), in standard deviations of a normal distribution.

    Between two quantiles, and beyond the outer ones with the slope between them and the median, scores are linear.
    NaN where fewer than two quantiles were forecast.
    """
    scores, there = np.full(len(y), np.nan), np.isfinite(forecast)
    if len(y) == 0:
        return scores
    for known in np.unique(there, axis=0):
        rows = (there == known).all(axis=1)
        if known.sum() > 1:
            scores[rows] = _scores(y[rows], forecast[rows][:, known], normal_quantile(levels[known]))
    return scores


def _scores(y: Floats, quantiles: Floats, ends: Floats) -> Floats:
    """The same of quantiles (B, Q) that are all there, whose scores are `ends` (Q,)."""
    middle = int(np.argmin(np.abs(ends)))
    below = (quantiles < y[:, None]).sum(axis=1)  # 0 to Q
    left, right = np.clip(below - 1, 0, None), np.clip(below, None, len(ends) - 1)
    low, high = (np.take_along_axis(quantiles, index[:, None], axis=1)[:, 0] for index in (left, right))
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = ends[left] + (y - low) / (high - low) * (ends[right] - ends[left])
        under = ends[0] - (quantiles[:, 0] - y) / _slope(quantiles, ends, middle, 0)
        over = ends[-1] + (y - quantiles[:, -1]) / _slope(quantiles, ends, middle, -1)
    scores = np.where(below == 0, under, np.where(below == len(ends), over, inner))
    equal = quantiles == y[:, None]
    on = np.where(equal, ends, 0.0).sum(axis=1) / np.maximum(equal.sum(axis=1), 1)
    return np.asarray(np.clip(np.where(equal.any(axis=1), on, scores), -_FAR, _FAR))


def _slope(quantiles: Floats, ends: Floats, middle: int, outer: int) -> Floats:
    """Units of the reading for a standard deviation, between the median and an outer quantile, or between both."""
    whole = (quantiles[:, -1] - quantiles[:, 0]) / (ends[-1] - ends[0])
    if ends[outer] == ends[middle]:
        return np.asarray(whole)
    half = (quantiles[:, outer] - quantiles[:, middle]) / (ends[outer] - ends[middle])
    return np.asarray(np.where(half > 0, half, whole))


def outer_chance(z: Floats, level: Floats) -> Floats:
    """The two-sided p-values (B,) of scores by the quantiles alone, beyond the outer `level` (B,) with Laplace's tail.

    That is heavier than the normal one: nothing is known of what lies out there.
    """
    size, edge = np.abs(z), np.abs(normal_quantile(np.minimum(level, 1 - level)))
    outside = np.minimum(level, 1 - level) * np.exp(-(size - edge) / edge * np.log(0.5 / np.minimum(level, 1 - level)))
    inside = 0.5 - 0.5 * np.vectorize(erf, otypes=[np.float64])(size / np.sqrt(2))
    return np.asarray(2 * np.where(size > edge, outside, inside))


def conformal(scores: Floats, reference: Floats, *, doubling: bool = False) -> Floats:
    """Conformal p-values (B,) of scores of at least 0 against those of earlier readings (n,): rank / (n + 1).

    Beyond the largest the rank is multiplied by a tail, else nothing could be rarer than 1 / (n + 1): Pareto's, with
    Hill's exponent (1975) of the largest scores; or, for counts with `doubling`, halved with each count more.
    """
    ordered = np.sort(reference)
    n, most = len(ordered), float(ordered[-1])
    ranks = (n - np.searchsorted(ordered, scores) + 1) / (n + 1)
    if doubling:
        return np.asarray(ranks * 0.5 ** np.maximum(scores - max(most, 0.0) - 1, 0.0))
    least, limit, share = _TAIL
    count = min(n, int(np.clip(ceil(share * n), least, limit)))
    top = np.log(np.maximum(ordered[-count:], 1e-9))
    exponent = 1 / max(float((top - top[0]).mean()), 0.05)
    return np.asarray(ranks * (np.maximum(scores, most) / max(most, 1e-9)) ** -exponent)


def judge(readings: pd.DataFrame, history: pd.DataFrame, rule: AlarmRule) -> pd.DataFrame:
    """Judge readings (unique_id, ds, y, z, outer), a window of stamps at a time, by what came before them.

    `history` holds earlier results, in order; those of one window are history for the next. A reading is compared in
    three ways with what earlier readings of its series were like, with those of all series as long as there are few:
    its score (`spike`), the mean of the last scores (`level`), and how often the same value was repeated (`flat`).
    `chance` is the smallest of the three p-values, each divided by its share of the false alarms; `kind` says whose it
    is. A reading that is far rarer than an alarm is `strange`: none to measure others by, unless most are.
    """
    memories = {name: _Memory.of(rows, rule) for name, rows in history.groupby(UNIQUE_ID, sort=False)}
    done: list[pd.DataFrame] = []
    for block in _blocks(readings.sort_values([DS, UNIQUE_ID], kind="stable"), rule.window):
        pooled = _pooled(memories)
        for name, rows in block.groupby(UNIQUE_ID, sort=False):
            memory = memories.setdefault(name, _Memory.of(history[:0], rule))
            done.append(memory.judged(rows, pooled))
    columns = [*readings.columns, *(name for name in JUDGED if name not in readings)]
    return pd.concat(done, ignore_index=True) if done else pd.DataFrame(columns=columns)


def _blocks(ordered: pd.DataFrame, size: int) -> Iterator[pd.DataFrame]:
    """Rows of so many stamps at a time."""
    number = (ordered[DS] != ordered[DS].shift()).cumsum().to_numpy() - 1
    edges = np.searchsorted(number, np.arange(0, number[-1] + size + 1, size)) if len(ordered) else np.array([], int)
    for first, stop in pairwise(edges):
        if stop > first:
            yield ordered.iloc[first:stop]


class _Past(NamedTuple):
    """What earlier readings were like: size of their scores, of their levels, and repetitions (n,)."""

    spike: Floats
    level: Floats
    flat: Floats


def _pooled(memories: Mapping[Any, _Memory]) -> _Past:
    """That of all series, the latest of each."""
    each = max(_POOLED // max(len(memories), 1), 10)
    pasts = [memory.past for memory in memories.values()]
    parts = ([kind[-each:] for kind in kinds] for kinds in zip(*pasts, strict=True)) if pasts else ([np.zeros(0)],) * 3
    return _Past(*(np.concatenate(part) for part in parts))


class _Memory:
    """The judged readings of one series, in order, as far as others are compared with them."""

    def __init__(self, rule: AlarmRule, y: Floats, z: Floats, same: Floats, level: Floats, strange: Bools) -> None:
        self._rule = rule
        self._y, self._z, self._same, self._level, self._strange = y, z, same, level, strange

    @classmethod
    def of(cls, rows: pd.DataFrame, rule: AlarmRule) -> _Memory:
        y, z, same, level = (rows[name].to_numpy(dtype=np.float64) for name in (Y, "z", "same", "level"))
        return cls(rule, y, z, same, level, rows["strange"].to_numpy(dtype=bool))

    @property
    def past(self) -> _Past:
        """What of it others are compared with: strange readings are not, unless most of the last ones are."""
        usual = ~self._strange | (_trailing(self._strange.astype(float), 2 * self._rule.window) > 0.5)
        z, level, same = (part[usual][-self._rule.memory :] for part in (self._z, self._level, self._same))
        return _Past(*(part[np.isfinite(part)] for part in (np.abs(z), np.abs(level), same)))

    def judged(self, rows: pd.DataFrame, pooled: _Past) -> pd.DataFrame:
        """The rows with what is said of them; they are part of the memory afterwards."""
        past = self.past if len(self.past.spike) >= _OWN else pooled
        y, z = (rows[name].to_numpy(dtype=np.float64) for name in (Y, "z"))
        same, level = self._repeated(y), self._levels(z)
        chances = np.stack(self._chances(rows, z, level, same, past), axis=1)  # (B, kinds)
        chance = np.minimum(chances.min(axis=1), 1.0)
        strange = chance <= self._rule.alpha / _STRANGE
        self._remember(y, z, same, level, strange)
        kind = np.array(KINDS)[chances.argmin(axis=1)]
        return rows.assign(z=z, same=same, level=level, chance=chance, kind=kind, strange=strange)

    def _chances(self, rows: pd.DataFrame, z: Floats, level: Floats, same: Floats, past: _Past) -> tuple[Floats, ...]:
        few = len(past.spike) < _LEAST
        spike = outer_chance(z, rows["outer"].to_numpy(np.float64)) if few else conformal(np.abs(z), past.spike)
        levels = conformal(np.abs(level), past.level) if len(past.level) >= _LEAST else np.ones(len(z))
        flat = np.ones(len(z)) if few else conformal(same, past.flat, doubling=True)
        kinds = zip((spike, levels, flat), _SHARES, strict=True)
        return tuple(np.where(np.isnan(chances), 1.0, chances / share) for chances, share in kinds)

    def _repeated(self, y: Floats) -> Floats:
        """How often the value of each reading (B,) stood in a row before it."""
        same, last, count = np.zeros(len(y)), self._y[-1] if len(self._y) else np.nan, 0.0
        count = float(self._same[-1]) if len(self._same) else 0.0
        for place, value in enumerate(y):
            count = count + 1 if value == last else 0.0
            same[place], last = count, value
        return same

    def _levels(self, z: Floats) -> Floats:
        """The mean (B,) of the last scores up to each, of which none counts for too much; NaN where there are few."""
        window = self._rule.window
        known = np.concatenate([self._z[-window:], z])
        levels = _trailing(np.clip(known, -_CLIPPED, _CLIPPED), window)[len(known) - len(z) :]
        enough = np.arange(len(known) - len(z), len(known)) + 1 >= window
        return np.where(enough, levels, np.nan)

    def _remember(self, y: Floats, z: Floats, same: Floats, level: Floats, strange: Bools) -> None:
        keep = self._rule.memory + 2 * self._rule.window
        self._y, self._z, self._same, self._level = (
            np.concatenate(both)[-keep:]
            for both in ((self._y, y), (self._z, z), (self._same, same), (self._level, level))
        )
        self._strange = np.concatenate([self._strange, strange])[-keep:]


def _trailing(values: Floats, window: int) -> Floats:
    """The mean (n,) of the last `window` values up to each, of those that are known; NaN where none is."""
    there = ~np.isnan(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(there, values, 0.0))])
    counts = np.concatenate([[0.0], np.cumsum(there)])
    stop = np.arange(1, len(values) + 1)
    start = np.maximum(stop - window, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((sums[stop] - sums[start]) / (counts[stop] - counts[start]))


def join(alarms: pd.DataFrame, before: pd.DataFrame, gap: int) -> pd.DataFrame:
    """Events of alarms (unique_id, ds, index, chance, …): those of a series that are no more than `gap` steps apart.

    `index` counts the steps of the grid, so that alarms that follow an event of `before` (with its `last` index)
    continue it. An event has its first and last stamp, the number of its alarms, and everything else of the rarest one.
    """
    going: dict[Any, dict[Any, Any]] = {row[UNIQUE_ID]: row for row in before.to_dict("records")}
    changed: dict[Any, dict[Any, Any]] = {}
    for alarm in alarms.sort_values([UNIQUE_ID, "index"], kind="stable").to_dict("records"):
        name, index = alarm[UNIQUE_ID], alarm["index"]
        event = going.get(name)
        if event is None or abs(index - event["last"]) > gap:
            event = {"start": alarm[DS], "end": alarm[DS], "last": index - 1, "alarms": 0, "chance": np.inf}
        later = index > event["last"]  # an alarm that is found again counts once
        rarest = {**event, **alarm} if alarm["chance"] < event["chance"] else event
        span = {"end": alarm[DS], "last": index} if later else {"end": event["end"], "last": event["last"]}
        span |= {"start": event["start"], "alarms": event["alarms"] + int(later)}
        going[name] = changed[name, event["start"]] = {**rarest, **span}
    return pd.DataFrame([*changed.values()]).drop(columns=["index"], errors="ignore")
