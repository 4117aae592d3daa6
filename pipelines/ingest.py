"""Ingest: source → validate → clean → store."""

from prefect import flow

from forecasting.config import Job
from forecasting.series.store import Merged
from pipelines import tasks

__all__ = ["ingest"]


@flow(name="ingest", persist_result=False)
def ingest(job: Job) -> Merged:
    """Bring the source's rows into the job's table."""
    raw = tasks.read(job)
    report = tasks.validate(job, raw)
    cleaned = tasks.clean(job, raw)
    return tasks.store(job, report, cleaned)
