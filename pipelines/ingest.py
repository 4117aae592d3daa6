"""Ingest: source → validate → clean → store → judge what came."""

from prefect import flow

from forecasting.config.job import Job
from forecasting.storage.observations import Merged
from pipelines import alerts, notices, tasks

__all__ = ["ingest"]


@flow(name="ingest", persist_result=False, timeout_seconds=3600)
def ingest(job: Job) -> Merged:
    """Bring the source's rows into the job's table."""
    with alerts.failing(job, "ingest"):
        raw, mark = tasks.read(job)
        report = tasks.validate(job, raw)
        cleaned = tasks.clean(job, raw)
        merged = notices.ingested(job, report, tasks.store(job, report, cleaned, mark))
        alerts.judged(job)
        return merged
