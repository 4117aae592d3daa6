"""One check of a live model: its live scores beside those of its backtest, drift, and the verdict."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite, nan
from typing import Any, Final

import pandas as pd

from forecasting.bundle.forecaster import Forecaster, open_forecaster
from forecasting.columns import CUTOFF, DS, UNIQUE_ID, VERSION
from forecasting.config.job import Job
from forecasting.errors import UnknownVersionError
from forecasting.monitor import findings as memory
from forecasting.monitor.findings import Findings
from forecasting.monitor.horizons import by_stamp
from forecasting.monitor.live import scored, scores
from forecasting.monitor.rules import Evidence, Promise, alpha_of, judge
from forecasting.monitor.score_table import record
from forecasting.monitor.signals import Columns, Sensed, inputs, residuals, sense
from forecasting.monitor.verdict import LiveRule, action_of, verdict_of
from forecasting.monitor.watched import LiveModel, readings, span_of, watched, window_of
from forecasting.registry.registry import Registry
from forecasting.registry.versions import Version
from forecasting.series.calendar import season_of
from forecasting.series.folds import last_reading, shift
from forecasting.storage.store import Store

__all__ = ["look"]

_WORST: Final = 10  # series shown


def look(store: Store, registry: Registry, job: Job, *, now: datetime | None = None) -> Findings:
    """Bring the score table up to date, check the champion against every rule, and keep the verdict.

    The same forecasts and readings give the same verdict, which is kept once. Raises UnknownVersionError if nothing is
    live, DataError if nothing was forecast or observed.
    """
    live = registry.versions.get(job.name, "champion")
    forecaster = open_forecaster(registry.cache.download(job.name, live.version))
    table = readings(store, job, span_of(live), forecaster.spec.context)
    model = watched(store, registry, job, live, last_reading(table))
    recorded = record(store, job, since=_unsettled(store, job))
    errors = _residuals(registry, live, forecaster, table)
    evidence = _evidence(model, recorded, forecaster.spec.wanted, now or datetime.now(UTC))._replace(
        inputs=_drift(model, inputs(table, job)), residuals=_drift(model, errors)
    )
    rules = judge(evidence, job.monitor)
    recent = recorded[(recorded[VERSION] == live.version) & (recorded[DS] > model.latest)]
    return memory.keep(store, _findings(model, rules, recent), _onset(evidence, job))


def _unsettled(store: Store, job: Job) -> pd.Timestamp | None:
    """The first cutoff whose scores may still change; none before the first scores."""
    before = store.scores.read(job.name)
    return None if before.empty else shift(before[CUTOFF].max(), -2 * window_of(job), job.series.freq)


def _evidence(model: LiveModel, recorded: pd.DataFrame, quantiles: tuple[float, ...], now: datetime) -> Evidence:
    """The evidence on the live model, without drift."""
    job, live = model.job, model.live
    came = model.store.observations.last_write(job.name)
    silence = job.monitor.silence or 2 * job.window.horizon
    due = shift(pd.Timestamp(came).tz_localize(None).floor("s"), silence, job.series.freq).tz_localize(UTC)
    return Evidence(
        stamps=by_stamp(recorded[recorded[VERSION] == live.version]),
        of_weights=by_stamp(recorded[recorded[VERSION].isin(model.kin)]),
        until=model.until,
        latest=model.latest,
        pace=model.pace,
        promise=_promise(live, quantiles),
        refusal=model.refusal,
        inputs=None,
        residuals=None,
        came=came,
        due=due.to_pydatetime(),
        now=now,
    )


def _promise(live: Version, quantiles: tuple[float, ...]) -> Promise:
    noted = {name: float(live.notes.get(name, nan)) for name in ("mae_error", "coverage_error", "judged_stamps")}
    return Promise(
        mae=live.metrics.get("mae", nan),
        mae_error=noted["mae_error"],
        coverage=live.metrics.get("coverage", nan),
        coverage_error=noted["coverage_error"],
        stamps=noted["judged_stamps"],
        nominal=quantiles[-1] - quantiles[0],
    )


def _drift(model: LiveModel, columns: Columns | None) -> Sensed | None:
    """Drift after the readings that judged the live version; none if their end is unknown."""
    job, span = model.job, span_of(model.live)
    if span is None or columns is None:
        return None
    return sense(
        columns,
        span.known_until,
        answered=model.answered,
        window=window_of(job),
        season=season_of(job.series),
        day=model.pace.day,
        alpha=alpha_of(model.pace, job.monitor),
    )


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
    alpha = alpha_of(evidence.pace, job.monitor)
    onsets = [sensed.onset(alpha) for sensed in (evidence.inputs, evidence.residuals) if sensed]
    return min((onset for onset in onsets if onset is not None), default=None)


def _findings(model: LiveModel, rules: list[LiveRule], recent: pd.DataFrame) -> Findings:
    live, verdict = model.live, verdict_of(rules)
    return Findings(
        name=model.job.name,
        version=live.version,
        model=live.model,
        until=model.until.to_pydatetime(),
        verdict=verdict,
        action=action_of(rules, may_train=model.may_train),
        summary=_summary(live, verdict, rules),
        rules=[rule.plain() for rule in rules],
        scores=_beside(recent, live),
        steps=_plain(scores(recent, "step")),
        worst=_worst(scored(model.store, model.job.name, since=model.latest), live.version),
        unscored=model.store.alternatives.names(model.job.name),
    )


def _summary(live: Version, verdict: str, rules: list[LiveRule]) -> str:
    said = [rule.sentence for state in ("broken", "not judged") for rule in rules if rule.state == state]
    why = "; ".join(dict.fromkeys(said))
    return f"version {live.version}, {live.model}: {verdict}{f': {why}' if why else ''}"


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
