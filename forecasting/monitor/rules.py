"""The rules for a live model, each with its figure and a sentence, and the remedy for a broken one."""

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
from forecasting.monitor.signals import LEAST, Sensed

__all__ = ["REMEDIES", "Evidence", "Remedy", "alpha_of_each", "judge", "remedy_of"]

Remedy = Literal["fine", "recalibrate", "retrain", "alarm"]

_SEVERITY: Final[tuple[Remedy, ...]] = ("fine", "recalibrate", "retrain", "alarm")
REMEDIES: Final[dict[str, Remedy]] = {
    "arriving": "alarm",
    "finite": "alarm",
    "error": "retrain",
    "seasonal_naive": "retrain",
    "inputs_mean_shift": "retrain",
    "inputs_shape": "retrain",
    "residuals_mean_shift": "retrain",
    "residuals_shape": "recalibrate",
    "coverage": "recalibrate",
    "retrained": "alarm",
}


class Evidence(NamedTuple):
    """The facts that a live model is judged by."""

    scores: pd.DataFrame  # rows of the score table: its forecasts for the latest stamps
    promised: dict[str, float]  # metrics of its backtest
    promised_error: float  # standard error of its mean absolute error there, NaN where it is not known
    nominal: float  # share of readings that the widest interval should contain
    horizon: int
    inputs: Sensed | None  # none: the end of the readings that judged the model is unknown
    residuals: Sensed | None
    came: datetime  # when the last readings came
    due: datetime  # when new ones were due
    now: datetime


def judge(evidence: Evidence, monitor: Monitor) -> list[Rule]:
    """Every rule, kept or broken."""
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
    """The strongest remedy of a broken rule; intervals may still be renewed after a retraining that did not help."""
    broken = [rule.rule for rule in rules if not rule.passed]
    remedies = {REMEDIES[name] for name in broken}
    if "recalibrate" in remedies and [name for name in broken if REMEDIES[name] == "alarm"] == ["retrained"]:
        return "recalibrate"
    return max(remedies, key=_SEVERITY.index, default="fine")


def alpha_of_each(monitor: Monitor) -> float:
    """The significance of each of the four drift tests."""
    return monitor.alpha / 4


def _arriving(evidence: Evidence) -> Rule:
    waited = (evidence.now - evidence.came).total_seconds() / 3600
    allowed = (evidence.due - evidence.came).total_seconds() / 3600
    sentence = f"no readings for {waited:.1f} h; after {allowed:.1f} h, accuracy cannot be assessed"
    return Rule("arriving", waited, allowed, waited <= allowed, sentence)


def _finite(scores: pd.DataFrame) -> Rule:
    broken, made = int(scores["broken"].sum()), int(scores["made"].sum())
    return Rule("finite", broken, 0, broken == 0, f"{broken} of the last {made} forecasts are not finite")


def _error(by_stamp: pd.DataFrame, evidence: Evidence, monitor: Monitor) -> Rule:
    promised = evidence.promised.get("mae", nan)
    live = _mean(by_stamp, "absolute", "count", evidence)
    if not live.freedom or not isfinite(promised) or promised <= 0:
        return _not_judged("error", live, "mean absolute error")
    allowed = (1 + monitor.tolerance) * promised
    error = hypot(live.error, (1 + monitor.tolerance) * np.nan_to_num(evidence.promised_error))
    low = live.value - live._replace(error=error).reach(monitor.confidence)
    sentence = (
        f"the mean absolute error is {live.value:.4g}, at least {low:.4g} with {monitor.confidence:.0%} confidence;"
        f" the backtest promised {promised:.4g}, and up to {allowed:.4g} is allowed"
    )
    return Rule("error", low, allowed, low <= allowed, sentence)


def _seasonal_naive(by_stamp: pd.DataFrame, evidence: Evidence, monitor: Monitor) -> Rule:
    known = by_stamp[by_stamp["naive_count"] > 0]
    worse = _mean(known.assign(worse=known["beside_naive"] - known["naive"]), "worse", "naive_count", evidence)
    if not worse.freedom:
        return _not_judged("seasonal_naive", worse, "distance to the seasonal naive forecast")
    low = worse.value - worse.reach(monitor.confidence)
    naive = known["naive"].sum() / known["naive_count"].sum()
    sentence = (
        f"the live error is {abs(worse.value):.4g} {'above' if worse.value > 0 else 'below'} that of the seasonal naive"
        f" forecast, {naive:.4g}; the lower {monitor.confidence:.0%} bound of the difference is {low:.4g}, 0 is"
        " allowed"
    )
    return Rule("seasonal_naive", low, 0.0, low <= 0, sentence)


def _coverage(by_stamp: pd.DataFrame, evidence: Evidence, monitor: Monitor) -> Rule:
    known = by_stamp[by_stamp["intervals"] > 0]
    live = _mean(known, "inside", "intervals", evidence)
    if not live.freedom:
        return _not_judged("coverage", live, "coverage")
    bounds = {evidence.nominal, evidence.promised.get("coverage", nan)}
    low = min(bound for bound in bounds if isfinite(bound)) - monitor.margin
    high = max(bound for bound in bounds if isfinite(bound)) + monitor.margin
    reach = live.reach(monitor.confidence)
    nearest = min(max(live.value, low), high)
    sentence = (
        f"{live.value:.1%} ± {reach:.1%} of the actuals lie inside the {evidence.nominal:.0%} interval;"
        f" {low:.1%} to {high:.1%} is allowed"
    )
    inside = low <= live.value <= high or abs(live.value - evidence.nominal) <= reach
    return Rule("coverage", live.value, nearest, inside, sentence)


def _mean(by_stamp: pd.DataFrame, above: str, below: str, evidence: Evidence) -> Mean:
    """The ratio of two sums over all stamps, with the error of the mean of the ratios per stamp."""
    if by_stamp.empty:
        return Mean(nan, nan, 0)
    of_stamps = mean_of((by_stamp[above] / by_stamp[below]).to_numpy(dtype=np.float64), evidence.horizon)
    enough = len(by_stamp) >= least_stamps(evidence.horizon)
    ratio = float(by_stamp[above].sum() / by_stamp[below].sum())
    return of_stamps._replace(value=ratio, freedom=of_stamps.freedom if enough else 0)


def _not_judged(rule: str, live: Mean, what: str) -> Rule:
    return Rule(rule, live.value, nan, True, f"the {what} was not judged: too few of its forecasts have actuals yet")


def _drift(rule: str, what: str, sensed: Sensed | None, monitor: Monitor) -> list[Rule]:
    names = (f"{rule}_mean_shift", f"{rule}_shape")
    if sensed is None:
        why = "the live version, or its judged twin, does not record where its readings ended; a new version will"
        return [Rule(name, nan, nan, True, f"drift was not tested: {why}") for name in names]
    if sensed.drift is None:
        why = f"expected at least {LEAST} rows before and {SHORTEST} since, got {sensed.reference} and {sensed.recent}"
        return [Rule(name, nan, nan, True, f"drift was not tested: {why}") for name in names]
    shift, shape = sensed.drift
    said = (
        f"{what} have shifted by {shift.size:+.2f} standard deviations since {sensed.columns.stamps[shift.onset]}",
        f"the unpredictable part of {what} has changed: its spread is {shape.size:.2f}×",
    )
    bound = alpha_of_each(monitor)
    return [
        Rule(name, found.chance, bound, found.chance > bound, _odds(sentence, found, sensed, bound))
        for name, found, sentence in zip(names, (shift, shape), said, strict=True)
    ]


def _odds(sentence: str, found: Change, sensed: Sensed, bound: float) -> str:
    where, side = sensed.columns.names[found.column], "above" if found.chance > bound else "below"
    return f"{sentence} ({where}); p = {found.chance:.3%}, {side} the threshold of {bound:.3%}"
