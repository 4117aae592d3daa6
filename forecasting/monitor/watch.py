"""One look at a live model: its live scores beside what its backtest promised, drift, and the verdict."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite, nan
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from forecasting.bundle.forecaster import Forecaster
from forecasting.columns import CUTOFF, DS, UNIQUE_ID, VERSION
from forecasting.config import Job
from forecasting.errors import DataError
from forecasting.evaluation.gate import Rule
from forecasting.monitor import findings as memory
from forecasting.monitor.findings import Findings
from forecasting.monitor.live import scored, scores
from forecasting.monitor.record import record
from forecasting.monitor.rules import Evidence, judge, level_of_each, remedy_of
from forecasting.monitor.senses import REFERENCE, Columns, Sensed, inputs, residuals, sense
from forecasting.registry import Registry, Version
from forecasting.series.clean import clean
from forecasting.series.split import last_reading, shift
from forecasting.series.store import Store
from forecasting.series.time_features import season_of

__all__ = ["Span", "look", "readings", "span_of", "window_of"]

_WORST: Final = 10  # series that are shown


class Span(NamedTuple):
    """What a version was fitted on, calibrated on and judged by, as it was registered."""

    fit_until: pd.Timestamp
    calibrated_since: pd.Timestamp
    known_until: pd.Timestamp


def look(store: Store, registry: Registry, job: Job, *, cache: Path, now: datetime | None = None) -> Findings:
    """Bring the record of scores up to date, hold the champion against every rule, and keep the verdict.

    The same forecasts and readings give the same verdict, which is kept once. Raises UnknownVersionError where nothing
    is live, DataError where nothing was forecast or observed.
    """
    if job.symbolic:
        raise DataError(f"{job.name} forecasts symbols; the monitor watches forecasts of numbers")
    live = registry.version(job.name, "champion")
    table = readings(store, job, span_of(live))
    until = last_reading(table)
    latest = shift(until, -window_of(job), job.series.freq)
    recorded = record(store, job, since=_unsettled(store, job))
    mine = recorded[(recorded[VERSION] == live.version) & (recorded[DS] > latest)]
    forecaster = Forecaster.load(registry.download(job.name, live.version, cache))
    evidence = _evidence(store, job, live, forecaster, table)._replace(scores=mine)
    evidence = evidence if now is None else evidence._replace(now=now)
    rules = judge(evidence, job.monitor)
    if remedy_of(rules) == "retrain":
        rules += _patience(store, job, live, until)
    verdict = remedy_of(rules)
    found = Findings(
        name=job.name,
        version=live.version,
        model=live.model,
        until=until.to_pydatetime(),
        verdict=verdict,
        summary=_summary(live, verdict, rules),
        rules=[memory.plain(rule) for rule in rules],
        scores=_beside(mine, live),
        steps=_plain(scores(mine, "step")),
        worst=_worst(scored(store, job.name, since=latest), live.version),
    )
    return memory.keep(store, found, _onset(evidence, job))


def window_of(job: Job) -> int:
    """The latest steps that are judged."""
    return job.monitor.window or max(100, 2 * season_of(job.series), 4 * job.window.horizon)


def span_of(live: Version) -> Span | None:
    """What a version says of itself; none where it was registered before versions did."""
    if "known_until" not in live.notes:
        return None
    fit, known = (pd.Timestamp(live.notes[name]) for name in ("fit_until", "known_until"))
    return Span(fit, pd.Timestamp(live.notes.get("calibrated_since", fit)), known)


def readings(store: Store, job: Job, span: Span | None) -> pd.DataFrame:
    """The clean readings, back to where drift is looked for and the first residual has its context."""
    since = None
    if span is not None:
        needed = min(span.fit_until, shift(span.known_until, -REFERENCE, job.series.freq))
        since = shift(needed, -job.window.context, job.series.freq)
    return clean(store.read_observations(job.name, since=since), job.series).table


def _unsettled(store: Store, job: Job) -> pd.Timestamp | None:
    """The first cutoff whose scores may still change; none where nothing was scored yet."""
    before = store.kept(job.name, "scores")
    return None if before.empty else shift(before[CUTOFF].max(), -2 * window_of(job), job.series.freq)


def _evidence(store: Store, job: Job, live: Version, forecaster: Forecaster, table: pd.DataFrame) -> Evidence:
    """What is known of the live model, but for its scores."""
    came, span = store.last_write(job.name), span_of(live)
    silence = job.monitor.silence or 2 * job.window.horizon
    due = shift(pd.Timestamp(came).tz_localize(None).floor("s"), silence, job.series.freq).tz_localize(UTC)
    quantiles = forecaster.spec.wanted
    return Evidence(
        scores=pd.DataFrame(),
        promised=live.metrics,
        promised_error=float(live.notes.get("mae_error", "nan")),
        asked=quantiles[-1] - quantiles[0],
        horizon=job.window.horizon,
        inputs=span and _sensed(store, job, span, inputs(table, job)),
        residuals=span and _sensed(store, job, span, _residuals(forecaster, table, span)),
        came=came,
        due=due.to_pydatetime(),
        now=datetime.now(UTC),
    )


def _residuals(forecaster: Forecaster, table: pd.DataFrame, span: Span) -> Columns:
    return residuals(forecaster, table, max(span.fit_until, span.calibrated_since), span.known_until)


def _sensed(store: Store, job: Job, span: Span, columns: Columns) -> Sensed:
    known = columns.after(memory.answered(store, job.name, span.known_until))
    return sense(known, span.known_until, window=window_of(job), season=season_of(job.series))


def _onset(evidence: Evidence, job: Job) -> pd.Timestamp | None:
    level = level_of_each(job.monitor)
    onsets = [sensed.onset(level) for sensed in (evidence.inputs, evidence.residuals) if sensed]
    return min((onset for onset in onsets if onset is not None), default=None)


def _patience(store: Store, job: Job, live: Version, until: pd.Timestamp) -> list[Rule]:
    """The rule of a version that was to be replaced and is still live: not every look may train again."""
    last = memory.tried(store, job.name, live.version, until)
    if last is None:
        return []
    passed = len(pd.date_range(last, until, freq=job.series.freq)) - 1
    patience = job.monitor.patience or window_of(job)
    sentence = (
        f"a training with readings until {last} did not replace it; {passed} steps have passed since, after {patience}"
        " it may be tried again"
    )
    return [Rule("retrained", passed, patience, passed >= patience, sentence)]


def _summary(live: Version, verdict: str, rules: list[Rule]) -> str:
    broken = "; ".join(rule.sentence for rule in rules if not rule.passed)
    return f"version {live.version}, {live.model}: {verdict}{f': {broken}' if broken else ''}"


def _beside(mine: pd.DataFrame, live: Version) -> list[dict[str, Any]]:
    """Each live metric beside what the backtest promised."""
    found: dict[str, Any] = {str(name): value for row in scores(mine).to_dict("records") for name, value in row.items()}
    sums = mine[["moved", "moves", "actual", "count"]].sum()
    if sums["moves"] and sums["actual"]:
        found["revision"] = sums["moved"] / sums["moves"] * sums["count"] / sums["actual"]
    rows = [{"metric": name, "promised": live.metrics.get(name, nan), "live": value} for name, value in found.items()]
    return _plain(pd.DataFrame(rows))


def _worst(rows: pd.DataFrame, version: int) -> list[dict[str, Any]]:
    """The series whose errors are the largest share of their readings."""
    sums = rows[rows[VERSION] == version].groupby(UNIQUE_ID)[["absolute", "error", "actual", "inside", "count"]].sum()
    table = pd.DataFrame(
        {
            "error_share": sums["absolute"] / sums["actual"].where(sums["actual"] > 0),
            "mae": sums["absolute"] / sums["count"],
            "bias": sums["error"] / sums["count"],
            "coverage": sums["inside"] / sums["count"],
        }
    )
    return _plain(table.sort_values("error_share", ascending=False, kind="stable").head(_WORST).reset_index())


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows for JSON: what is not finite is null."""
    return [
        {str(name): None if isinstance(value, float) and not isfinite(value) else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]
