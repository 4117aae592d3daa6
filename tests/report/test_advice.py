"""After a refusal there are three things to try, of the rules that failed and of the job as it is."""

from collections.abc import Callable

import pytest

from forecasting.config.job import Job
from forecasting.evaluation.gate import Rule, Verdict
from forecasting.report.advice import advice


def verdict(*failed: str) -> Verdict:
    """A verdict in which these rules failed."""
    names = ("finite", "beats_naive", "min_coverage", "latency", "size", *failed)
    rules = tuple(Rule(name, 1.0, 1.0, name not in failed, name) for name in dict.fromkeys(names))
    return Verdict(not failed, "stacked", "", rules)


def test_nothing_is_to_be_tried_after_a_pass(make_job: Callable[..., Job]) -> None:
    """What passed needs no advice."""
    assert advice(make_job(), verdict()) == []


@pytest.mark.parametrize(
    ("failed", "first"),
    [
        ("min_coverage", "set forecast.calibrate.half_life: 30, "),
        ("finite", "set train.learning_rate: 0.000333333 (now 0.001)"),
        ("latency", "set gate.max_latency_ms"),
        ("beats_naive", "set model: auto in place of stacked"),
    ],
)
def test_the_first_step_is_of_the_rule_that_failed(make_job: Callable[..., Job], failed: str, first: str) -> None:
    """Each with its key and a value."""
    steps = advice(make_job(), verdict(failed))
    assert len(steps) == 3
    assert steps[0].startswith(first)


def test_a_short_backtest_is_to_be_longer(make_job: Callable[..., Job]) -> None:
    """50 cutoffs a step apart are 52 steps, 17.3 horizons of 3; 19 horizons of cutoffs are two steps apart."""
    steps = advice(make_job({"calendar": ["hour"], "holidays": "DE"}), verdict("beats_naive"))
    assert "backtest: {windows: 50, step: 2}: the verdict stands on 17.3 independent horizons" in steps[1]
    long = make_job({"calendar": ["hour"]}, backtest={"windows": 50, "step": 2})
    assert not any("backtest" in step for step in advice(long, verdict("beats_naive")))


def test_what_the_job_has_is_not_proposed(make_job: Callable[..., Job]) -> None:
    """With auto, a calendar, holidays and a long backtest there is still something to try."""
    series, plan = {"holidays": "DE", "calendar": ["hour"]}, {"windows": 90, "step": 1}
    job = make_job(series, model={"name": "auto"}, backtest=plan)
    steps = advice(job, verdict("beats_naive"))
    assert steps[0] == "set selection.budget: best (now good), which searches four times as long"
    assert not any(
        word in step for step in steps for word in ("calendar", "holidays", "model: auto", "longer backtest")
    )
    assert len(steps) == 3
