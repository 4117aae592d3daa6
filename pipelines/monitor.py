"""Monitor: vintages × readings → live scores → drift → verdict → renewed intervals, or a request to train."""

from typing import Any

from prefect import State, flow

from forecasting.config.job import Job
from forecasting.monitor.findings import Findings
from pipelines import alerts, notices, tasks

__all__ = ["monitor"]


@flow(name="monitor", persist_result=False, timeout_seconds=6 * 3600)
def monitor(job: Job, act: bool = True) -> Findings | State[Any]:
    """Check the live model; with `act`, renew its intervals if they fail, request a training, or call a person."""
    if nothing := tasks.skipped(job):
        return nothing
    with alerts.failing(job, "monitor"):
        findings = tasks.look(job)
        notices.watched(job, findings)
        alerts.watched(job, findings)
        if not (act and findings.due):
            return findings
        sent = notices.requested(job, findings)
        if findings.action == "recalibrate":
            tasks.renew_intervals(job, findings)
        elif sent:
            tasks.settle(findings)
        return findings
