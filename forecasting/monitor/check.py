"""One check of a live model: its live scores beside those of its backtest, drift, and the verdict."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite, nan
from typing import Any, Final, NamedTuple

import pandas as pd

from forecasting.bundle.forecaster import Forecaster, open_forecaster
from forecasting.columns import CUTOFF, DS, UNIQUE_ID, VERSION
from forecasting.config.job import Job
from forecasting.errors import UnknownVersionError
from forecasting.evaluation.gate import Rule
from forecasting.monitor import findings as memory
from forecasting.monitor.findings import Findings
from forecasting.monitor.live import scored, scores
from forecasting.monitor.rules import Evidence, alpha_of_each, judge, remedy_of
from forecasting.monitor.score_table import record
from forecasting.monitor.signals import REFERENCE, Columns, Sensed, inputs, residuals, sense
from forecasting.registry.registry import Registry
from forecasting.registry.versions import Version
from forecasting.series.calendar import season_of
from forecasting.series.clean import clean
from forecasting.series.defaults import MOST_CONTEXT
from forecasting.series.folds import last_reading, shift
from forecasting.storage.store import Store

__all__ = ["Span", "look", "readings", "span_of", "window_of"]

_WORST: Final = 10  # series shown


class Span(NamedTuple):
    """Where the readings ended that a version was fitted on, calibrated on, and judged by."""

    fit_until: pd.Timestamp
    calibrated_since: pd.Timestamp
    known_until: pd.Timestamp


def look(store: Store, registry: Registry, job: Job, *, now: datetime | None = None) -> Findings:
    """Bring the score table up to date, check the champion against every rule, and keep the verdict.

    The same forecasts and readings give the same verdict, which is kept once. Raises UnknownVersionError if nothing is
    live, DataError if nothing was forecast or observed.
    """
    live = registry.versions.get(job.name, "champion")
    table = readings(store, job, span_of(live))
    until = last_reading(table)
    latest = shift(until, -window_of(job), job.series.freq)
    recorded = record(store, job, since=_unsettled(store, job))
    mine = recorded[(recorded[VERSION] == live.version) & (recorded[DS] > latest)]
    forecaster = open_forecaster(registry.cache.download(job.name, live.version))
    tried = memory.tried(store, job.name, live.version, until)
    errors = _residuals(registry, live, forecaster, table)
    known = _known_until(span_of(live), tried)
    evidence = _evidence(store, job, live, forecaster.spec.wanted)._replace(
        scores=mine,
        inputs=_drift(store, job, known, inputs(table, job)),
        residuals=_drift(store, job, known, errors),
    )
    evidence = evidence if now is None else evidence._replace(now=now)
    rules = judge(evidence, job.monitor)
    if remedy_of(rules) == "retrain":
        rules += _patience(job, tried, until)
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
    """The number of latest steps to judge."""
    return job.monitor.window or max(100, 2 * season_of(job.series), 4 * job.window.horizon)


def span_of(live: Version) -> Span | None:
    """The span that a version records; none for one registered before versions did."""
    if "known_until" not in live.notes:
        return None
    fit, known = (pd.Timestamp(live.notes[name]) for name in ("fit_until", "known_until"))
    return Span(fit, pd.Timestamp(live.notes.get("calibrated_since", pd.Timestamp.min)), known)


def readings(store: Store, job: Job, span: Span | None) -> pd.DataFrame:
    """The clean readings, back to the start of the drift reference plus one context."""
    since = None
    if span is not None:
        needed = min(span.fit_until, shift(span.known_until, -REFERENCE, job.series.freq))
        since = shift(needed, -(job.window.context or MOST_CONTEXT), job.series.freq)
    return clean(store.observations.read(job.name, since=since), job.series).table


def _unsettled(store: Store, job: Job) -> pd.Timestamp | None:
    """The first cutoff whose scores may still change; none before the first scores."""
    before = store.scores.read(job.name)
    return None if before.empty else shift(before[CUTOFF].max(), -2 * window_of(job), job.series.freq)


def _evidence(store: Store, job: Job, live: Version, quantiles: tuple[float, ...]) -> Evidence:
    """The evidence on the live model, without its scores and drift."""
    came = store.observations.last_write(job.name)
    silence = job.monitor.silence or 2 * job.window.horizon
    due = shift(pd.Timestamp(came).tz_localize(None).floor("s"), silence, job.series.freq).tz_localize(UTC)
    return Evidence(
        scores=pd.DataFrame(),
        promised=live.metrics,
        promised_error=float(live.notes.get("mae_error", "nan")),
        nominal=quantiles[-1] - quantiles[0],
        horizon=job.window.horizon,
        inputs=None,
        residuals=None,
        came=came,
        due=due.to_pydatetime(),
        now=datetime.now(UTC),
    )


def _known_until(span: Span | None, tried: pd.Timestamp | None) -> pd.Timestamp | None:
    """The last reading that the live version was judged by; none if it records none.

    Readings of a refused challenger that knew more count as known.
    """
    if span is None or tried is None:
        return span and span.known_until
    return max(span.known_until, tried)


def _drift(store: Store, job: Job, known_until: pd.Timestamp | None, columns: Columns | None) -> Sensed | None:
    """Drift after the known readings, with those before an answered drift left out; none if that end is unknown."""
    if known_until is None or columns is None:
        return None
    unanswered = columns.after(memory.answered(store, job.name, known_until))
    return sense(unanswered, known_until, window=window_of(job), season=season_of(job.series))


def _residuals(registry: Registry, live: Version, forecaster: Forecaster, table: pd.DataFrame) -> Columns | None:
    """Residuals of the live model; its judged twin stands in for readings that a last fit has seen.

    None if a version does not record its span, or the twin was deleted from the registry.
    """
    span = span_of(live)
    try:
        judged = registry.versions.get(live.job, live.judged)
    except UnknownVersionError:
        return None
    if span is None:
        return None
    since = max(pd.Timestamp(judged.notes["fit_until"]), span.calibrated_since)
    unseen = since >= span.fit_until
    before = forecaster if unseen else open_forecaster(registry.cache.download(live.job, live.judged))
    return residuals(forecaster, table, since, span.known_until, before=before)


def _onset(evidence: Evidence, job: Job) -> pd.Timestamp | None:
    alpha = alpha_of_each(job.monitor)
    onsets = [sensed.onset(alpha) for sensed in (evidence.inputs, evidence.residuals) if sensed]
    return min((onset for onset in onsets if onset is not None), default=None)


def _patience(job: Job, tried: pd.Timestamp | None, until: pd.Timestamp) -> list[Rule]:
    """The rule for a version that a retraining did not replace: not every check may train again."""
    if tried is None:
        return []
    passed = len(pd.date_range(tried, until, freq=job.series.freq)) - 1
    patience = job.monitor.patience or window_of(job)
    sentence = (
        f"a training with readings up to {tried} did not replace this version; {passed} of {patience} steps have passed"
        " before the next attempt"
    )
    return [Rule("retrained", passed, patience, passed >= patience, sentence)]


def _summary(live: Version, verdict: str, rules: list[Rule]) -> str:
    broken = "; ".join(rule.sentence for rule in rules if not rule.passed)
    return f"version {live.version}, {live.model}: {verdict}{f': {broken}' if broken else ''}"


def _beside(mine: pd.DataFrame, live: Version) -> list[dict[str, Any]]:
    """Each live metric beside the backtest's."""
    found: dict[str, Any] = {str(name): value for row in scores(mine).to_dict("records") for name, value in row.items()}
    sums = mine[["moved", "moves", "actual", "count"]].sum()
    if sums["moves"] and sums["actual"]:
        found["revision"] = sums["moved"] / sums["moves"] * sums["count"] / sums["actual"]
    rows = [{"metric": name, "promised": live.metrics.get(name, nan), "live": value} for name, value in found.items()]
    return _plain(pd.DataFrame(rows))


def _worst(rows: pd.DataFrame, version: int) -> list[dict[str, Any]]:
    """The series with the largest errors relative to their readings."""
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
    """Rows for JSON; values that are not finite are null."""
    return [
        {str(name): None if isinstance(value, float) and not isfinite(value) else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]
