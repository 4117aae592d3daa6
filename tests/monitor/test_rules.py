"""The rules of the monitor, on scores that are worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import nan
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.config.operation import Monitor
from forecasting.evaluation.uncertainty import mean_of
from forecasting.monitor.drift import Change, Drift
from forecasting.monitor.horizons import pace_of
from forecasting.monitor.rules import Evidence, Promise, Refusal, alpha_of, judge
from forecasting.monitor.score_table import SUMS
from forecasting.monitor.signals import Columns, Sensed
from forecasting.monitor.verdict import LiveRule, action_of, verdict_of

NOW = datetime(2026, 1, 20, tzinfo=UTC)
BEGIN = pd.Timestamp("2026-01-01")
QUIET = Change(0.5, 0, 0, 0.0)


def stamps(errors: Any, *, inside: Any = 0.8, naive: Any = 2.0, every: int = 1) -> pd.DataFrame:
    """One forecast for each stamp, `every` so many hours, with this absolute error and share inside."""
    errors = np.asarray(errors, dtype=float)
    dates = pd.date_range(BEGIN, periods=len(errors), freq=f"{every}h", unit="us", name="ds")
    table = pd.DataFrame(dict.fromkeys(SUMS, 1.0), index=dates)
    return table.assign(absolute=errors, beside_naive=errors, inside=inside, naive=naive, broken=0.0)


def sensed(found: Change = QUIET) -> Sensed:
    """Drift that was tested, with this result for the mean."""
    columns = Columns(("a: y",), pd.date_range("2025-12-01", periods=1000, freq="h", unit="us"), np.zeros((1000, 1)))
    return Sensed(columns, 700, 100, 24, Drift(found, QUIET))


def evidence(table: pd.DataFrame, *, horizon: int = 24, **named: Any) -> Evidence:
    """What is known of an hourly model that promised an error of 1 and a coverage of 0.8."""
    until = table.index[-1] if len(table) else BEGIN
    facts = Evidence(
        stamps=table,
        of_weights=table,
        until=until,
        latest=until - pd.Timedelta(hours=200),
        pace=pace_of("h", horizon),
        promise=Promise(mae=1.0, mae_error=0.05, coverage=0.8, coverage_error=0.02, stamps=720, nominal=0.8),
        refusal=None,
        inputs=sensed(),
        residuals=sensed(),
        came=NOW,
        due=NOW + timedelta(hours=48),
        now=NOW,
    )
    return facts._replace(**named)


def states(facts: Evidence, **monitor: Any) -> dict[str, str]:
    """Every rule's state."""
    return {rule.rule: rule.state for rule in judge(facts, Monitor(**monitor))}


def verdict(facts: Evidence) -> str:
    """What the monitor says."""
    return verdict_of(judge(facts, Monitor()))


def test_all_as_promised_is_fine() -> None:
    """Ten days of the promised error and coverage, and no drift."""
    assert verdict(evidence(stamps(np.ones(240)))) == "fine"


@pytest.mark.parametrize("hours", [0, 1, 23])
def test_before_a_whole_horizon_nothing_is_fine(hours: int) -> None:
    """However good the first forecasts: errors and coverage are not judged, and the verdict says so."""
    facts = evidence(stamps(np.zeros(hours)))
    assert verdict(facts) == "not judged"
    found = states(facts)
    assert {found[name] for name in ("error", "seasonal_naive", "coverage")} == {"not judged"}


@pytest.mark.parametrize("horizon", [1, 24, 168])
@pytest.mark.parametrize("every", [1, 24])
def test_twice_the_promised_error_is_never_fine(horizon: int, every: int) -> None:
    """After a good year, one forecast a day or one an hour: from more than three horizons on."""
    good = np.ones(8760 // every)
    for bad in (3 * horizon + 1, 5 * horizon):
        facts = evidence(stamps(np.concatenate([good, np.full(bad, 2.0)]), every=every), horizon=horizon)
        assert verdict(facts) != "fine"
        assert states(facts)["error"] != "kept"


def test_one_horizon_outside_of_the_intervals_is_evidence() -> None:
    """One day raises the evidence more than twenty days as promised gave; after three days it is certain."""
    found = []
    for bad in range(5):
        table = stamps(np.ones(24 * (20 + bad)), inside=np.repeat([0.8, 0.0], [24 * 20, 24 * bad]))
        found.append({rule.rule: rule for rule in judge(evidence(table), Monitor())}["coverage"])
    assert found[1].figure > 3 * found[0].figure
    assert [rule.state for rule in found] == ["kept", "kept", "kept", "broken", "broken"]


def test_unit_of_one_step_forecasts_is_a_day() -> None:
    """A bad night of an hourly job is one bad day in part, not eight bad horizons."""
    night = np.where(np.arange(24 * 60) % 24 < 8, 2.6, 0.2)  # on average as promised
    assert states(evidence(stamps(night), horizon=1))["error"] in ("kept", "not judged")
    assert pace_of("h", 1).unit == 24
    assert pace_of("h", 36).unit == 48
    assert pace_of("D", 7) == pace_of("D", 7)._replace(unit=7, day=1)
    assert pace_of("W-MON", 4).units_a_year == pytest.approx(52.2 / 4, rel=0.01)
    assert pace_of("15min", 4).units_a_year == pytest.approx(365.25)


@pytest.mark.parametrize("inside", [0.3, 1.0])
def test_coverage_may_be_too_low_or_too_high(inside: float) -> None:
    """Intervals that hold too little, or everything for a long time."""
    facts = evidence(stamps(np.ones(24 * 90), inside=inside))
    assert states(facts)["coverage"] == "broken"
    assert verdict(facts) == "recalibrate"


def test_model_without_intervals_has_no_coverage_to_judge() -> None:
    """A single quantile promises none, so its absence is no reason to be doubtful."""
    facts = evidence(stamps(np.ones(240)))
    facts = facts._replace(promise=facts.promise._replace(nominal=0.0))
    assert "coverage" not in states(facts)
    assert verdict(facts) == "fine"


def test_promise_that_is_unknown_is_not_judged() -> None:
    """A version without a backtest's error, and drift without a reference."""
    facts = evidence(stamps(np.ones(240)))
    nothing = facts._replace(promise=facts.promise._replace(mae=nan))
    assert (states(nothing)["error"], verdict(nothing)) == ("not judged", "not judged")
    blind = facts._replace(inputs=sensed()._replace(drift=None, reference=3))
    assert (states(blind)["inputs_shape"], verdict(blind)) == ("not judged", "not judged")
    assert verdict(facts._replace(residuals=None)) == "not judged"


def test_naive_forecast_that_is_better_is_noticed() -> None:
    """Half the model's error, for a month."""
    assert states(evidence(stamps(np.ones(24 * 40), naive=0.3)))["seasonal_naive"] == "broken"
    assert states(evidence(stamps(np.ones(24 * 40), naive=1.0)))["seasonal_naive"] == "kept"


def test_refused_training_is_an_alarm_as_long_as_the_error_is_too_large() -> None:
    """It was to answer a drift; what came since is worse than promised, later as good again."""
    onset = BEGIN + pd.Timedelta(days=10)
    refusal = Refusal(7, onset + pd.Timedelta(hours=20), onset)
    bad = evidence(stamps(np.repeat([1.0, 1.6], [240, 24])), refusal=refusal)
    assert (states(bad)["error"], states(bad)["retrained"], verdict(bad)) == ("kept", "broken", "alarm")
    assert "version 7" in next(rule.sentence for rule in judge(bad, Monitor()) if rule.rule == "retrained")
    good = evidence(stamps(np.repeat([1.0, 1.6, 1.0], [240, 24, 240])), refusal=refusal)
    assert (states(good)["retrained"], verdict(good)) == ("kept", "fine")
    again = evidence(stamps(np.repeat([1.0, 1.6, 1.0, 1.6], [240, 24, 240, 72])), refusal=refusal)
    assert states(again)["retrained"] == "kept"  # that case is closed, the sequential test goes on


def test_refused_training_without_a_cause_is_none() -> None:
    """The weekly challenger was no better: nobody needs to know, however good or bad a single day is."""
    refusal = Refusal(7, BEGIN + pd.Timedelta(days=9), None)
    assert verdict(evidence(stamps(np.repeat([1.0, 1.6], [240, 24])), refusal=refusal)) == "fine"


def test_error_that_a_refused_training_left_is_an_alarm_and_a_new_one_is_not() -> None:
    """What was certain before the training knew; what became certain later wants another training."""
    table = stamps(np.repeat([1.0, 3.0], [240, 240]))
    certain = next(rule.since for rule in judge(evidence(table), Monitor()) if rule.rule == "error")
    assert certain is not None
    before, after = (certain + pd.Timedelta(hours=hours) for hours in (-24, 24))
    assert verdict(evidence(table, refusal=Refusal(7, before, None))) == "retrain"
    assert verdict(evidence(table, refusal=Refusal(7, after, None))) == "alarm"


def rule(name: str, state: Any) -> LiveRule:
    """A rule in this state."""
    return LiveRule(name, state, 1.0, 1.0, "")


@pytest.mark.parametrize(
    ("broken", "may_train", "said", "done"),
    [
        ([], True, "fine", "none"),
        (["coverage"], True, "recalibrate", "recalibrate"),
        (["coverage", "error"], True, "retrain", "retrain"),
        (["coverage", "error"], False, "retrain", "recalibrate"),
        (["error"], False, "retrain", "none"),
        (["error", "retrained"], True, "alarm", "retrain"),
        (["retrained"], True, "alarm", "retrain"),
        (["retrained", "coverage"], False, "alarm", "recalibrate"),
        (["retrained"], False, "alarm", "none"),
        (["finite", "error"], True, "alarm", "none"),
        (["arriving", "coverage"], True, "alarm", "none"),
    ],
)
def test_strongest_remedy_is_said_and_what_helps_is_done(
    broken: list[str], may_train: bool, said: str, done: str
) -> None:
    """An alarm that a refused training left does not keep intervals from being renewed, nor the next training away."""
    rules = [rule("arriving", "kept"), *(rule(name, "broken") for name in broken)]
    rules = list({one.rule: one for one in rules}.values())
    assert verdict_of(rules) == said
    assert action_of(rules, may_train=may_train) == done
    unsure = [*rules, rule("seasonal_naive", "not judged")]
    assert verdict_of(unsure) == ("not judged" if said == "fine" else said)


def test_significance_of_drift_is_its_share_of_a_year() -> None:
    """Eight tests share one false alarm a year; a day's four of drift get an eighth each."""
    assert alpha_of(pace_of("h", 24), Monitor()) == pytest.approx(1 / 8 / 365.25)
    assert alpha_of(pace_of("5min", 1), Monitor(false_alarms=2)) == pytest.approx(2 / 8 / 365.25)
    assert alpha_of(pace_of("W-MON", 4), Monitor()) == pytest.approx(1 / 8 / 52.2, rel=0.01)


def test_answered_drift_is_kept_and_a_new_one_is_not() -> None:
    """A refused challenger knew what began before its last reading."""
    found = Change(0.0001, 0, 700, 3.0)
    facts = evidence(stamps(np.ones(240)), inputs=sensed(found))
    assert states(facts)["inputs_mean_shift"] == "broken"
    onset = sensed().columns.stamps[700]
    for late, state in ((-1, "broken"), (0, "kept"), (5, "kept")):
        known = sensed(found)._replace(answered=onset + pd.Timedelta(hours=late))
        assert states(facts._replace(inputs=known))["inputs_mean_shift"] == state


def test_quiet_years_rarely_alarm() -> None:
    """Eight years of days that depend on each other, each held against a promise of its own 30 days before.

    Four sequential tests may alarm four times in eight years, and do less often, since what is allowed lies above what
    was promised; looks are once a week, and an alarm lasts longer than half of that.
    """
    draw, alarms = np.random.default_rng(11), 0
    for _ in range(8):
        days = np.zeros(395)
        for day in range(1, 395):
            days[day] = 0.4 * days[day - 1] + draw.normal(0, 0.25)
        errors = np.exp(np.repeat(days, 24)) * np.abs(draw.normal(size=395 * 24))
        inside = (draw.random(395 * 24) < np.repeat(np.clip(0.8 - 0.1 * days, 0, 1), 24)).astype(float)
        mae, held = (mean_of(values[: 30 * 24].reshape(30, 24).mean(axis=1), 1) for values in (errors, inside))
        promise = Promise(mae.value, mae.error, held.value, held.error, 720, 0.8)
        year = stamps(errors[30 * 24 :], inside=inside[30 * 24 :], naive=1.5 * errors.mean())
        broken = [False]
        for day in range(7, 366, 7):
            facts = evidence(year.head(24 * day), promise=promise)
            broken.append("broken" in states(facts).values())
        alarms += sum(now and not before for before, now in pairwise(broken))
    assert alarms <= 2
