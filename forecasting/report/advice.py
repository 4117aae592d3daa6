"""What to try after a refusal: three concrete changes of the job, from the rules that failed and the job as it is."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Final

from forecasting.config.job import Job
from forecasting.evaluation.gate import Verdict
from forecasting.series.calendar import season_length

__all__ = ["advice"]

_STEPS: Final = 3
_INDEPENDENT: Final = 20  # horizons that a verdict should stand on
_RULES: Final = {  # of the gate: what mends it
    "finite": "set train.learning_rate: {rate:g} (now {now:g}): the loss of this network grew without bound",
    "latency": "set gate.max_latency_ms, or take a smaller network: fewer units in model.params",
    "size": "set gate.max_size_mb, or take a smaller network: fewer units in model.params",
    "stability": "set gate.max_revision higher where forecasts may change from cutoff to cutoff",
}


def advice(job: Job, verdict: Verdict) -> list[str]:
    """The next steps after a refusal, those of the failed rules first; none where the challenger passed."""
    if verdict.passed:
        return []
    failed = [rule.rule for rule in verdict.rules if not rule.passed]
    found = [*_of_rules(job, failed), *_of_errors(job), *_of_anything(job)]
    return list(dict.fromkeys(found))[:_STEPS]


def _of_rules(job: Job, failed: list[str]) -> Iterator[str]:
    rate = job.train.learning_rate
    for rule in failed:
        if rule in _RULES:
            yield _RULES[rule].format(rate=rate / 3, now=rate)
    if {"min_coverage", "max_coverage"} & set(failed):
        life = job.forecast.calibrate.half_life
        yield (
            f"set forecast.calibrate.half_life: {max(1, (life or 20 * job.window.horizon) // 2)}, so that intervals"
            " follow the latest residuals, or gate.coverage, if another share inside them will do"
        )


def _of_errors(job: Job) -> Iterator[str]:
    """What may lower the error, and what makes the verdict surer."""
    if job.model.name != "auto" and not job.symbolic and job.head.name == "quantile":
        yield f"set model: auto in place of {job.model.name}, which tries several networks and averages the best"
    elif job.model.name == "auto" and job.selection.budget != "best" and job.selection.minutes is None:
        yield f"set selection.budget: best (now {job.selection.budget}), which searches four times as long"
    horizon, windows, step = job.window.horizon, job.backtest.windows, job.backtest.step
    judged = ((windows - 1) * step + horizon) / horizon
    if judged < _INDEPENDENT:
        longer = ceil((_INDEPENDENT - 1) * horizon / windows)
        yield (
            f"judge on a longer backtest, backtest: {{windows: {windows}, step: {longer}}}: the verdict stands on"
            f" {judged:.3g} independent horizons, and {_INDEPENDENT} or more make it sure"
        )
    if not job.symbolic and not job.series.calendar and (features := _calendar(job.series.freq)):
        yield f"set series.calendar: [{', '.join(features)}], so that the network knows the time"
    if not job.symbolic and job.series.holidays is None and season_length(job.series.freq) not in (1, 4, 12, 52):
        yield "set series.holidays to your region, such as DE or US-NY, if people make these readings"


def _of_anything(job: Job) -> Iterator[str]:
    context = job.window.context
    yield f"set window.context: {2 * context} (now {context}), so that the network looks further back"
    if not job.symbolic and not job.series.future:
        yield "name what is known ahead under series.future: weather forecasts, prices, plans"
    yield "bring more history: a network learns more from it than the baselines do"


def _calendar(freq: str) -> tuple[str, ...]:
    season = season_length(freq)
    names = {5: ("day_of_week",), 7: ("day_of_week",), 12: ("month",), 52: ("week_of_year",), 4: ("quarter",)}
    return names.get(season, ("hour", "day_of_week") if season > 1 else ())
