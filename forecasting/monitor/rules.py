"""The rules for a live model, each with its figure and a sentence, and the remedy for a broken one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from math import isfinite, nan
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecasting.config.operation import Monitor
from forecasting.monitor.detector import Detection, detect, recovered
from forecasting.monitor.drift import SHORTEST, Change
from forecasting.monitor.horizons import Pace, whole_units
from forecasting.monitor.signals import LEAST, Sensed
from forecasting.monitor.verdict import REMEDIES, LiveRule, State

__all__ = ["Evidence", "Promise", "Refusal", "alpha_of", "judge"]

_TESTS: Final = 8  # that share the false alarms: error, naive, coverage on both sides, four of drift
_CERTAIN: Final = 1.645  # standard errors that the backtest's own error may be off: 95 % on one side
_TWICE: Final = 2.0  # times the promised error: no verdict is fine then, however little is certain
_HORIZONS: Final = 3  # for more than so many

Floats = npt.NDArray[np.float64]


class Promise(NamedTuple):
    """What the backtest said of a version, with the standard errors; NaN is not known."""

    mae: float
    mae_error: float
    coverage: float
    coverage_error: float
    stamps: float  # over which both are averages
    nominal: float  # share of readings that the widest interval should contain; 0 without one


class Refusal(NamedTuple):
    """A training that did not replace the live weights."""

    version: int
    until: pd.Timestamp  # the last reading that it knew
    onset: pd.Timestamp | None  # of the drift that it was to answer


class Evidence(NamedTuple):
    """The facts that a live model is judged by."""

    stamps: pd.DataFrame  # sums of the live version's scores for each stamp (R,)
    of_weights: pd.DataFrame  # the same of all versions with its weights, whatever their intervals
    until: pd.Timestamp  # the last reading
    latest: pd.Timestamp  # before the first stamp of the window
    pace: Pace
    promise: Promise
    refusal: Refusal | None
    inputs: Sensed | None  # none: the end of the readings that judged the model is unknown
    residuals: Sensed | None
    came: datetime  # when the last readings came
    due: datetime  # when new ones were due
    now: datetime


def judge(evidence: Evidence, monitor: Monitor) -> list[LiveRule]:
    """Every rule: kept, broken, or not judged."""
    units = whole_units(evidence.of_weights, evidence.until, evidence.pace)
    rules = [
        _arriving(evidence),
        _finite(evidence),
        _error(units, evidence, monitor),
        _seasonal_naive(units[units["naive_count"] > 0], evidence, monitor),
        *_drift("inputs", "the readings", evidence.inputs, alpha_of(evidence.pace, monitor)),
        *_drift("residuals", "the residuals", evidence.residuals, alpha_of(evidence.pace, monitor)),
        *([_coverage(evidence, monitor)] if evidence.promise.nominal > 0 else []),
    ]
    if evidence.refusal is None:
        return rules
    wrong = [rule.rule for rule in rules if rule.state == "broken" and _known_to(evidence.refusal, rule)]
    return [*rules, _retrained(units, evidence, evidence.refusal, wrong, monitor)]


def alpha_of(pace: Pace, monitor: Monitor) -> float:
    """The significance of each of the four drift tests of a day: its share of the false alarms of a year."""
    return min(0.05, monitor.false_alarms / (_TESTS * pace.days_a_year))


def _arriving(evidence: Evidence) -> LiveRule:
    waited = max(0.0, (evidence.now - evidence.came).total_seconds() / 3600)  # clocks differ
    allowed = (evidence.due - evidence.came).total_seconds() / 3600
    sentence = f"no readings for {waited:.1f} h; after {allowed:.1f} h, accuracy cannot be assessed"
    return LiveRule("arriving", _state(waited > allowed), waited, allowed, sentence)


def _finite(evidence: Evidence) -> LiveRule:
    recent = evidence.stamps[evidence.stamps.index > evidence.latest]
    broken, made = int(recent["broken"].sum()), int(recent["made"].sum())
    return LiveRule("finite", _state(broken > 0), broken, 0, f"{broken} of the last {made} forecasts are not finite")


def _error(units: pd.DataFrame, evidence: Evidence, monitor: Monitor) -> LiveRule:
    promise, pace = evidence.promise, evidence.pace
    if not isfinite(promise.mae) or promise.mae <= 0:
        return LiveRule("error", "not judged", nan, nan, "the error was not judged: the backtest promised none")
    if units.empty:
        return _too_early("error", "error", pace)
    allowed = _allowed(promise, monitor)
    spread = promise.mae_error * np.sqrt(promise.stamps / units["stamps"].to_numpy()) / allowed
    found = detect((units["absolute"] / units["count"]).to_numpy() / allowed, spread, _threshold(pace, monitor))
    recent = _recent(units, evidence)
    sentence = (
        f"the mean absolute error of the last {pace.words(len(recent))} is {_ratio(recent, 'absolute', 'count'):.4g};"
        f" the backtest promised {promise.mae:.4g}, and up to {allowed:.4g} is allowed"
    )
    rule = _detected("error", found, units, sentence, _threshold(pace, monitor))
    worst, steps = _worst(_known(evidence.of_weights), pace.horizon)
    if rule.state == "broken" or not worst >= _TWICE * promise.mae:
        return rule
    pending = f"the error of the last {steps} steps is {worst / promise.mae:.1f} times what the backtest promised"
    return LiveRule("error", "not judged", rule.figure, rule.bound, f"{pending}, but too little has come to be certain")


def _seasonal_naive(units: pd.DataFrame, evidence: Evidence, monitor: Monitor) -> LiveRule:
    if units.empty:
        return _too_early("seasonal_naive", "distance to the seasonal naive forecast", evidence.pace)
    both = units["beside_naive"] + units["naive"]
    worse = (units["beside_naive"] - units["naive"]).to_numpy() / np.where(both > 0, both, 1.0)
    threshold = _threshold(evidence.pace, monitor)
    found = detect(1 + worse, np.full(len(worse), nan), threshold)
    recent = _recent(units, evidence)
    model, naive = (_ratio(recent, name, "naive_count") for name in ("beside_naive", "naive"))
    sentence = (
        f"the error of the last {evidence.pace.words(len(recent))} is {model:.4g}, that of the seasonal naive forecast"
        f" {naive:.4g}"
    )
    return _detected("seasonal_naive", found, units, sentence, threshold)


def _coverage(evidence: Evidence, monitor: Monitor) -> LiveRule:
    promise, pace = evidence.promise, evidence.pace
    units = whole_units(evidence.stamps, evidence.until, pace)
    units = units[units["intervals"] > 0]
    if units.empty:
        return _too_early("coverage", "coverage", pace)
    bounds = {promise.nominal, promise.coverage if isfinite(promise.coverage) else promise.nominal}
    low, high = max(0.0, min(bounds) - monitor.margin), min(1.0, max(bounds) + monitor.margin)
    inside = (units["inside"] / units["intervals"]).to_numpy()
    spread = promise.coverage_error * np.sqrt(promise.stamps / units["stamps"].to_numpy())
    threshold = _threshold(pace, monitor)
    sides = [
        detect((1 - inside) / (1 - low), spread / (1 - low), threshold),
        detect(inside / high, spread / high, threshold),
    ]
    found = max(sides, key=lambda side: (side.broken, side.evidence))
    recent = _recent(units, evidence)
    sentence = (
        f"{_ratio(recent, 'inside', 'intervals'):.1%} of the actuals of the last {pace.words(len(recent))} lie inside"
        f" the {promise.nominal:.0%} interval; {low:.1%} to {high:.1%} is allowed"
    )
    return _detected("coverage", found, units, sentence, threshold)


def _retrained(
    units: pd.DataFrame, evidence: Evidence, refusal: Refusal, wrong: Sequence[str], monitor: Monitor
) -> LiveRule:
    """Broken if a training that knew what is wrong was refused, and it is still wrong.

    After a drift that means: from its onset on, the error has not once been back within what is allowed.
    """
    live, allowed = _error_since(evidence, refusal.onset), _allowed(evidence.promise, monitor)
    failed = bool(wrong)
    if refusal.onset is not None and live > allowed:
        since = units[units["end"] > refusal.onset]
        failed = failed or not recovered((since["absolute"] / since["count"]).to_numpy() / allowed)
    why = f"; still broken: {', '.join(wrong)}" if wrong else ""
    sentence = (
        f"a training with readings up to {refusal.until} was refused (version {refusal.version}); the live error is"
        f" {live:.4g}, up to {allowed:.4g} is allowed{why}"
    )
    return LiveRule("retrained", _state(failed), live, allowed, sentence)


def _known_to(refusal: Refusal, rule: LiveRule) -> bool:
    return REMEDIES[rule.rule] == "retrain" and rule.since is not None and rule.since <= refusal.until


def _error_since(evidence: Evidence, onset: pd.Timestamp | None) -> float:
    """The live error over the last three units, or since the onset if that is later; NaN without any."""
    stamps = _known(evidence.of_weights)
    stamps = stamps if onset is None else stamps[stamps.index >= onset]
    return _ratio(stamps.tail(_HORIZONS * evidence.pace.unit), "absolute", "count")


def _allowed(promise: Promise, monitor: Monitor) -> float:
    """The promised error, which is uncertain itself, and the tolerance."""
    return float((1 + monitor.tolerance) * (promise.mae + _CERTAIN * np.nan_to_num(promise.mae_error)))


def _threshold(pace: Pace, monitor: Monitor) -> float:
    """The evidence that is reached by chance once in so many units."""
    return _TESTS * pace.units_a_year / monitor.false_alarms


def _worst(stamps: pd.DataFrame, horizon: int) -> tuple[float, int]:
    """The largest mean error of the latest stamps, of all stretches of more than three horizons, and its length."""
    absolute, count = (stamps[name].to_numpy()[::-1].cumsum() for name in ("absolute", "count"))
    means = (absolute / count)[_HORIZONS * horizon :]
    return (float(means.max()), _HORIZONS * horizon + 1 + int(means.argmax())) if len(means) else (nan, 0)


def _known(stamps: pd.DataFrame) -> pd.DataFrame:
    return stamps[stamps["count"] > 0]


def _recent(units: pd.DataFrame, evidence: Evidence) -> pd.DataFrame:
    """The units of the window, at least the last one."""
    recent = units[units["end"] > evidence.latest]
    return recent if len(recent) else units.tail(1)


def _ratio(rows: pd.DataFrame, above: str, below: str) -> float:
    total = rows[below].sum()
    return float(rows[above].sum() / total) if total else nan


def _state(broken: bool) -> State:
    return "broken" if broken else "kept"


def _detected(name: str, found: Detection, units: pd.DataFrame, sentence: str, threshold: float) -> LiveRule:
    since = None if found.since is None else pd.Timestamp(units["end"].iloc[found.since])
    odds = f"; evidence {found.evidence:.3g}, an alarm from {threshold:.3g} on"
    return LiveRule(name, _state(found.broken), found.evidence, threshold, sentence + odds, since)


def _too_early(rule: str, what: str, pace: Pace) -> LiveRule:
    sentence = f"the {what} was not judged: no {pace.words(1)} of its forecasts has actuals yet"
    return LiveRule(rule, "not judged", nan, nan, sentence)


def _drift(rule: str, what: str, sensed: Sensed | None, alpha: float) -> list[LiveRule]:
    names = (f"{rule}_mean_shift", f"{rule}_shape")
    if sensed is None or sensed.drift is None:
        why = f"the drift of {what} was not tested: {_untested(sensed)}"
        return [LiveRule(name, "not judged", nan, nan, why) for name in names]
    shift, shape = sensed.drift
    said = (
        f"{what} have shifted by {shift.size:+.2f} standard deviations since {sensed.columns.stamps[shift.onset]}",
        f"the unpredictable part of {what} has changed: its spread is {shape.size:.2f}×",
    )
    return [
        _drifted(name, found, sensed, sentence, alpha)
        for name, found, sentence in zip(names, (shift, shape), said, strict=True)
    ]


def _untested(sensed: Sensed | None) -> str:
    if sensed is None:
        return "the live version, or its judged twin, does not record where its readings ended; a new version will"
    return (
        f"expected at least {LEAST} rows before and {max(SHORTEST, sensed.day)} since, got {sensed.reference} and"
        f" {sensed.recent}"
    )


def _drifted(name: str, found: Change, sensed: Sensed, sentence: str, alpha: float) -> LiveRule:
    where, side = sensed.columns.names[found.column], "above" if found.chance > alpha else "below"
    sentence = f"{sentence} ({where}); p = {found.chance:.3%}, {side} the threshold of {alpha:.3%}"
    if found.chance <= alpha and sensed.is_answered(found):
        sentence = f"{sentence}; a training that knew of it was refused"
    new = sensed.is_new(found, alpha)
    return LiveRule(
        name, _state(new), found.chance, alpha, sentence, sensed.columns.stamps[found.onset] if new else None
    )
