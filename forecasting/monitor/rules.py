"""The rules that a live model is held to, each with its figure and a sentence, and what follows where one is broken."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from math import hypot, isfinite, nan
from typing import Final, Literal, NamedTuple

import numpy as np
import pandas as pd

from forecasting.columns import DS
from forecasting.config.operation import Monitor, least_stamps
from forecasting.evaluation.gate import Rule
from forecasting.evaluation.uncertainty import Mean, mean_of
from forecasting.monitor.drift import SHORTEST, Change
from forecasting.monitor.signals import Sensed

__all__ = ["REMEDIES", "Evidence", "Remedy", "judge", "level_of_each", "remedy_of"]

Remedy = Literal["fine", "recalibrate", "retrain", "alarm"]

_SEVERITY: Final[tuple[Remedy, ...]] = ("fine", "recalibrate", "retrain", "alarm")
REMEDIES: Final[dict[str, Remedy]] = {
    "arriving": "alarm",
    "finite": "alarm",
    "error": "retrain",
    "seasonal_naive": "retrain",
    "inputs_level": "retrain",
    "inputs_shape": "retrain",
    "residuals_level": "retrain",
    "residuals_shape": "recalibrate",
    "coverage": "recalibrate",
    "retrained": "alarm",
}


class Evidence(NamedTuple):
    """What is known of a live model."""

    scores: pd.DataFrame  # rows of the record: its forecasts for the latest stamps
    promised: dict[str, float]  # metrics of its backtest
    promised_error: float  # standard error of its mean absolute error there, NaN where it is not known
    asked: float  # share of readings that the widest interval shall hold
    horizon: int
    inputs: Sensed | None  # none: until when the model was judged is not known
    residuals: Sensed | None
    came: datetime  # when readings came last
    due: datetime  # when new ones should have come
    now: datetime


def judge(evidence: Evidence, monitor: Monitor) -> list[Rule]:
    """Every rule, whether it is kept or broken."""
    scores = evidence.scores
    by_stamp = scores[scores["count"] > 0].groupby(DS).sum(numeric_only=True)
    return [
        _arriving(evidence),
        _finite(scores),
        _error(by_stamp, evidence, monitor),
        _seasonal_naive(by_stamp, evidence, monitor),
        *_drift("inputs", "the readings", evidence.inputs, monitor),
        *_drift("residuals", "the residuals", evidence.residuals, monitor),
        _coverage(by_stamp, evidence, monitor),
    ]


def remedy_of(rules: Sequence[Rule]) -> Remedy:
    """The strongest remedy of a broken rule; where a training did not help, intervals may still be renewed."""
    broken = [rule.rule for rule in rules if not rule.passed]
    remedies = {REMEDIES[name] for name in broken}
    if "recalibrate" in remedies and [name for name in broken if REMEDIES[name] == "alarm"] == ["retrained"]:
        return "recalibrate"
    return max(remedies, key=_SEVERITY.index, default="fine")


def level_of_each(monitor: Monitor) -> float:
    """The chance of a false alarm that each test of drift has: there are four."""
    return monitor.level / 4


def _arriving(evidence: Evidence) -> Rule:
    waited = (evidence.now - evidence.came).total_seconds() / 3600
    allowed = (evidence.due - evidence.came).total_seconds() / 3600
    sentence = f"readings came last {waited:.1f} h ago; after {allowed:.1f} h without any, nobody knows how good it is"
    return Rule("arriving", waited, allowed, waited <= allowed, sentence)


def _finite(scores: pd.DataFrame) -> Rule:
    broken, made = int(scores["broken"].sum()), int(scores["made"].sum())
    return Rule("finite", broken, 0, broken == 0, f"{broken} of the latest {made} forecasts are not finite")


def _error(by_stamp: pd.DataFrame, evidence: Evidence, monitor: Monitor) -> Rule:
    promised = evidence.promised.get("mae", nan)
    live = _mean(by_stamp, "absolute", "count", evidence)
    if not live.freedom or not isfinite(promised) or promised <= 0:
        return _untold("error", live, "mean absolute error")
    allowed = (1 + monitor.tolerance) * promised
    error = hypot(live.error, (1 + monitor.tolerance) * np.nan_to_num(evidence.promised_error))
    low = live.value - live._replace(error=error).reach(monitor.confidence)
    sentence = (
        f"its mean absolute error is {live.value:.4g}, with {monitor.confidence:.0%} confidence at least {low:.4g};"
        f" the backtest promised {promised:.4g}, allowed are {allowed:.4g}"
    )
    return Rule("error", low, allowed, low <= allowed, sentence)


def _seasonal_naive(by_stamp: pd.DataFrame, evidence: Evidence, monitor: Monitor) -> Rule:
    known = by_stamp[by_stamp["naive_count"] > 0]
    worse = _mean(known.assign(worse=known["beside_naive"] - known["naive"]), "worse", "naive_count", evidence)
    if not worse.freedom:
        return _untold("seasonal_naive", worse, "distance to the seasonal naive forecast")
    low = worse.value - worse.reach(monitor.confidence)
    naive = known["naive"].sum() / known["naive_count"].sum()
    sentence = (
        f"its live error is {abs(worse.value):.4g} {'above' if worse.value > 0 else 'below'} that of the seasonal naive"
        f" forecast, {naive:.4g}; the lower {monitor.confidence:.0%} bound of the difference is {low:.4g}, 0 is allowed"
    )
    return Rule("seasonal_naive", low, 0.0, low <= 0, sentence)


def _coverage(by_stamp: pd.DataFrame, evidence: Evidence, monitor: Monitor) -> Rule:
    known = by_stamp[by_stamp["intervals"] > 0]
    live = _mean(known, "inside", "intervals", evidence)
    if not live.freedom:
        return _untold("coverage", live, "coverage")
    bounds = {evidence.asked, evidence.promised.get("coverage", nan)}
    low = min(bound for bound in bounds if isfinite(bound)) - monitor.margin
    high = max(bound for bound in bounds if isfinite(bound)) + monitor.margin
    reach = live.reach(monitor.confidence)
    nearest = min(max(live.value, low), high)
    sentence = (
        f"{live.value:.1%} of the actuals lie inside the {evidence.asked:.0%} interval, give or take {reach:.1%};"
        f" between {low:.1%} and {high:.1%} should"
    )
    inside = low <= live.value <= high or abs(live.value - evidence.asked) <= reach
    return Rule("coverage", live.value, nearest, inside, sentence)


def _mean(by_stamp: pd.DataFrame, above: str, below: str, evidence: Evidence) -> Mean:
    """The ratio of two sums over all stamps, with the error of the mean of the ratios of each."""
    if by_stamp.empty:
        return Mean(nan, nan, 0)
    of_stamps = mean_of((by_stamp[above] / by_stamp[below]).to_numpy(dtype=np.float64), evidence.horizon)
    told = len(by_stamp) >= least_stamps(evidence.horizon)
    ratio = float(by_stamp[above].sum() / by_stamp[below].sum())
    return of_stamps._replace(value=ratio, freedom=of_stamps.freedom if told else 0)


def _untold(rule: str, live: Mean, what: str) -> Rule:
    return Rule(rule, live.value, nan, True, f"the {what} was not judged: too few actuals of its forecasts have come")


def _drift(rule: str, what: str, sensed: Sensed | None, monitor: Monitor) -> list[Rule]:
    names = (f"{rule}_level", f"{rule}_shape")
    if sensed is None:
        why = "the live version, or its judged twin, does not say until when it was judged; a new one does"
        return [Rule(name, nan, nan, True, f"drift was not looked for: {why}") for name in names]
    if sensed.drift is None:
        why = f"{sensed.recent} rows came since, {SHORTEST} are needed, and {sensed.reference} before"
        return [Rule(name, nan, nan, True, f"drift was not looked for: {why}") for name in names]
    level, shape = sensed.drift
    said = (
        f"{what} have moved by {level.size:+.2f} standard deviations since {sensed.columns.stamps[level.onset]}",
        f"what cannot be foretold of {what} is {shape.size:.2f} times as wide, or otherwise formed",
    )
    bound = level_of_each(monitor)
    return [
        Rule(name, found.chance, bound, found.chance > bound, _odds(sentence, found, sensed, bound))
        for name, found, sentence in zip(names, (level, shape), said, strict=True)
    ]


def _odds(sentence: str, found: Change, sensed: Sensed, bound: float) -> str:
    where = sensed.columns.names[found.column]
    return (
        f"{sentence} ({where}); {found.chance:.3%} of the stretches before look like it; above {bound:.3%} it is chance"
    )
