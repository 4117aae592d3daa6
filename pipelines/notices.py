"""Notices of a tracked flow run to Prefect: artifacts for people, events for other flows; none without a server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.context import FlowRunContext
from prefect.events import emit_event

from forecasting.batch.vintages import Vintage
from forecasting.config.job import Job
from forecasting.monitor.findings import Findings
from forecasting.report.outcome import Outcome, summary
from forecasting.runtime.events import OBSERVATIONS, resource
from forecasting.series.validate import ValidationReport
from forecasting.storage.observations import Merged

__all__ = ["ALARM", "RETRAIN", "forecasted", "ingested", "requested", "trained", "watched"]

RETRAIN = "gatecast.monitor.retrain"  # a live model has aged
ALARM = "gatecast.monitor.alarm"  # a person must look
_SHOWN = 100  # series without a forecast


def ingested(job: Job, report: ValidationReport, merged: Merged) -> Merged:
    """The findings of validation, and the event of new or corrected readings."""
    if FlowRunContext.get() is None:
        return merged
    rows = [{"rule": v.rule, "severity": v.severity, "count": v.count, "message": v.message} for v in report.violations]
    came = (
        f"{report.rows:,} rows of {report.series:,} series read: {merged.inserted:,} new, {merged.updated:,} corrected"
    )
    create_table_artifact(
        key=_key(job, "validation"),
        table=rows or [{"rule": "none", "severity": "", "count": 0, "message": "no violations"}],
        description=f"{came}; data version {merged.version}.",
    )
    if merged.inserted or merged.updated:
        payload = {"inserted": merged.inserted, "updated": merged.updated, "version": merged.version}
        emit_event(OBSERVATIONS, resource=resource(job.name), payload=payload)
    return merged


def trained(job: Job, outcome: Outcome) -> Outcome:
    """Leaderboard, verdict, and report of a training."""
    if FlowRunContext.get() is None:
        return outcome
    rules = [_row("passed", "yes" if rule["passed"] else "NO", rule) for rule in outcome.verdict]
    create_table_artifact(key=_key(job, "leaderboard"), table=outcome.leaderboard, description=summary(outcome))
    create_table_artifact(key=_key(job, "verdict"), table=rules, description=summary(outcome))
    create_link_artifact(
        key=_key(job, "report"),
        link=Path(outcome.report).as_uri(),
        link_text=f"report of run {outcome.run_id}",
        description=f"Also in the artifacts of MLflow's run {outcome.run_id}, as report.html.",
    )
    return outcome


def forecasted(job: Job, vintage: Vintage) -> Vintage:
    """The number of forecasts and their model, and the series without one."""
    if FlowRunContext.get() is None:
        return vintage
    failures = [{"unique_id": name, "reason": reason} for name, reason in vintage.failures.head(_SHOWN).to_numpy()]
    counts = {"forecasts": vintage.rows, "new": vintage.written, "series without forecast": len(vintage.failures)}
    rows = [{"model": vintage.model, "version": vintage.version, **counts}]
    said = " ".join(f"{one.message}." for one in vintage.cautions)
    description = f"Forecasts of {job.name}. {said}".strip()
    create_table_artifact(key=_key(job, "forecasts"), table=rows, description=description)
    if failures:
        create_table_artifact(key=_key(job, "failures"), table=failures, description=f"The first {len(failures)}.")
    return vintage


def watched(job: Job, findings: Findings) -> None:
    """The rules of the live model, and its live scores."""
    if FlowRunContext.get() is None:
        return
    rules = [_row("state", rule["state"], rule) for rule in findings.rules]
    create_table_artifact(key=_key(job, "monitor"), table=rules, description=findings.summary)
    create_table_artifact(key=_key(job, "live-scores"), table=findings.scores, description=findings.summary)


def requested(job: Job, findings: Findings) -> bool:
    """The events of a verdict that calls a person or needs a training; returns whether a server received any."""
    if FlowRunContext.get() is None:
        return False
    payload = {"version": findings.version, "until": findings.until.isoformat(), "summary": findings.summary}
    events = [ALARM] * (findings.verdict == "alarm") + [RETRAIN] * (findings.action == "retrain")
    for event in events:
        emit_event(event, resource=resource(job.name), payload=payload)
    return bool(events)


def _row(column: str, state: str, rule: Mapping[str, Any]) -> dict[str, Any]:
    return {column: state, "rule": rule["rule"], "why": rule["sentence"]}


def _key(job: Job, what: str) -> str:
    return f"{job.name}-{what}".replace("_", "-")  # the only other character that a job's name may hold
