"""The life of one job, look by look: forecasts, readings, the real rules, and what the verdict asks for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.shifts.ridge import errors, renewed, train
from benchmarks.shifts.world import START
from forecasting.config.operation import Monitor
from forecasting.monitor.horizons import pace_of
from forecasting.monitor.rules import Evidence, Refusal, alpha_of, judge
from forecasting.monitor.score_table import SUMS
from forecasting.monitor.signals import REFERENCE, Answered, Columns, Sensed, sense
from forecasting.monitor.verdict import Action, LiveRule, Verdict, action_of, verdict_of

__all__ = ["HISTORY", "Life", "Look"]

Floats = npt.NDArray[np.float64]

HISTORY: Final = 24 * 400  # hours that are known when the first version goes live
_FIRST, _AGAIN = 30, 7 * 24  # horizons that judge the first version, at most; hours that judge a later one, at least
_RESIDUALS: Final = 1000
_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
_MONITOR: Final = Monitor()
_HOURS: Final = pd.date_range(START, periods=HISTORY + 24 * 800, freq="h", unit="us", name="ds")


class Look(NamedTuple):
    """One look: at which hour, at which version, with which verdict."""

    hour: int
    version: int
    verdict: Verdict
    action: Action
    broken: tuple[str, ...]
    live: float  # the error over promised: the least of the last four horizons and of all longer stretches of them


class Life:
    """A job with one series, whose readings come `ingests` times a day and are forecast and looked at each time."""

    def __init__(self, y: Floats, horizon: int, ingests: int) -> None:
        self.y, self.horizon, self.every = y, horizon, 24 // ingests
        self.pace = pace_of("h", horizon)
        self.window = max(100, 4 * horizon)
        self.model = train(1, y, HISTORY, horizon, min(_FIRST * horizon, HISTORY // 5) if horizon > 1 else 14 * 24)
        self.kin = [1]
        self.refusal: Refusal | None = None
        self.asked = -(10**9)
        self.drifts: list[tuple[int, int, pd.Timestamp]] = []  # version, hour of the look, onset
        self._tested: tuple[Any, tuple[Sensed, Sensed]] | None = None
        self._reset(weights=True)
        self._make(HISTORY)

    def step(self, hour: int) -> Look:
        """Readings up to this hour have come: look, act, forecast."""
        rules = judge(self._evidence(hour), _MONITOR)
        may_train = hour - max(self.asked, -1 if self.refusal is None else _hour(self.refusal.until)) >= self.window
        verdict, action = verdict_of(rules), action_of(rules, may_train=may_train)
        broken = tuple(rule.rule for rule in rules if rule.state == "broken")
        seen = Look(hour, self.model.number, verdict, action, broken, self._live(hour))
        self._act(hour, action, rules)
        self._make(hour)
        return seen

    def _reset(self, *, weights: bool) -> None:
        """Forget the scores of another version, and of other weights."""
        self.mine = {name: np.zeros(len(self.y) + self.horizon) for name in SUMS}
        self.all = self.mine if weights else self.all
        if weights:
            cutoffs = np.arange(self.model.fit_until, len(self.y) - self.horizon)
            ahead = errors(self.model, self.y, cutoffs)
            self.residuals = np.stack([ahead[:, 0], ahead.mean(axis=1)], axis=1)  # of the stamps behind the cutoffs

    def _make(self, hour: int) -> None:
        """Forecast from this hour on; the scores are looked at only once the readings have come."""
        ahead = np.arange(hour + 1, min(hour + self.horizon + 1, len(self.y)))
        median = self.model.forecast(self.y, np.array([hour]))[0][: len(ahead)]
        error = self.y[ahead] - median
        low, high = self.model.bounds[:, : len(ahead)]
        naive = self.y[ahead - 24 * -(-(ahead - hour) // 24)]
        sums = {
            "absolute": np.abs(error),
            "inside": (error >= low) & (error <= high),
            "naive": np.abs(naive - self.y[ahead]),
            "beside_naive": np.abs(error),
        }
        ones = dict.fromkeys(("count", "intervals", "naive_count", "made"), 1.0)
        for table in (self.mine,) if self.mine is self.all else (self.mine, self.all):
            for name, value in (sums | ones).items():
                table[name][ahead] += value

    def _evidence(self, hour: int) -> Evidence:
        inputs, residuals = self._drift(hour)
        return Evidence(
            stamps=_stamps(self.mine, hour),
            of_weights=_stamps(self.all, hour),
            until=_HOURS[hour],
            latest=_HOURS[hour - self.window],
            pace=self.pace,
            promise=self.model.promise,
            refusal=self.refusal,
            inputs=inputs,
            residuals=residuals,
            came=_NOW,
            due=_NOW,
            now=_NOW,
        )

    def _drift(self, hour: int) -> tuple[Sensed, Sensed]:
        """Both tests; the looks of one day test the same rows, so they are tested once."""
        known = self.model.known_until
        days, answered = (hour - known) // 24, self._answered()
        key = (self.model.number, days, answered)
        if self._tested is None or self._tested[0] != key:
            stop = known + 24 * days
            self._tested = (
                key,
                (self._sensed(*self._readings(stop), answered), self._sensed(*self._errors(stop), answered)),
            )
        return self._tested[1]

    def _readings(self, stop: int) -> tuple[int, Floats]:
        first = max(0, min(self.model.fit_until, self.model.known_until - REFERENCE) - 168)
        return first, self.y[first : stop + 1, None]

    def _errors(self, stop: int) -> tuple[int, Floats]:
        """Residuals of the first step and of the mean of all; the mean is known when its last reading has come."""
        begin = self.model.fit_until + 1  # the first row's stamp
        first = max(begin, self.model.known_until - _RESIDUALS)
        rows = self.residuals[first - begin : stop + 1 - begin].copy()
        rows[max(0, len(rows) - self.horizon + 1) :, 1] = np.nan
        return first, rows

    def _sensed(self, first: int, values: Floats, answered: Answered | None) -> Sensed:
        columns = Columns(tuple("ab"[: values.shape[1]]), _HOURS[first : first + len(values)], values)
        return sense(
            columns,
            _HOURS[self.model.known_until],
            answered=answered,
            window=self.window,
            season=24,
            day=24,
            alpha=alpha_of(self.pace, _MONITOR),
        )

    def _answered(self, versions: list[int] | None = None, until: int | None = None) -> Answered | None:
        refused = self.model.known_until if self.refusal is None else _hour(self.refusal.until)
        known = max(self.model.known_until, refused) if until is None else until
        found = [
            onset for version, hour, onset in self.drifts if hour <= known and (versions is None or version in versions)
        ]
        return Answered(max(found), _HOURS[known]) if found else None

    def _act(self, hour: int, action: Action, rules: list[LiveRule]) -> None:
        onsets = [
            rule.since for rule in rules if rule.since is not None and "_" in rule.rule and "naive" not in rule.rule
        ]
        if onsets and verdict_of(rules) in ("retrain", "alarm"):
            self.drifts.append((self.model.number, hour, min(onsets)))
        if action == "retrain":
            self._train(hour)
        elif action == "recalibrate" and hour - self.model.fit_until > self.window + self.horizon:
            self.model = renewed(self.model, self.model.number + 1, self.y, hour, self.window)
            self.kin.append(self.model.number)
            self._reset(weights=False)

    def _train(self, hour: int) -> None:
        """A challenger that has seen all but the last days, on which it must beat the live model."""
        self.asked = hour
        held = max(_AGAIN, 2 * self.horizon)
        challenger = train(self.model.number + 1, self.y, hour, self.horizon, held)
        cutoffs = np.arange(hour - held, hour - self.horizon + 1)
        ours, theirs = (np.abs(errors(model, self.y, cutoffs)).mean() for model in (self.model, challenger))
        if theirs < 0.98 * ours:
            self.model, self.kin, self.refusal = challenger, [challenger.number], None
            self._reset(weights=True)
        else:
            drift = self._answered(self.kin, hour)
            self.refusal = Refusal(challenger.number, _HOURS[hour], drift and drift.onset)

    def _live(self, hour: int) -> float:
        """How many times the promised error has come, over every stretch of more than three horizons up to now."""
        known = np.flatnonzero(self.all["count"][: hour + 1])[::-1]
        if len(known) <= 3 * self.horizon:
            return 0.0
        means = np.cumsum(self.all["absolute"][known]) / np.cumsum(self.all["count"][known])
        return float(means[3 * self.horizon :].max() / self.model.promise.mae) if self.model.promise.mae > 0 else 0.0


def _stamps(sums: dict[str, Floats], hour: int) -> pd.DataFrame:
    """The score table up to this hour, one row per stamp."""
    known = np.flatnonzero(sums["made"][: hour + 1])
    return pd.DataFrame({name: values[known] for name, values in sums.items()}, index=_HOURS[known])


def _hour(stamp: pd.Timestamp) -> int:
    return int(_HOURS.get_loc(stamp))
