"""Batch: the live model → forecasts of every series → vintages."""

from datetime import UTC, datetime
from typing import Any

from prefect import State, flow

from forecasting.batch.plan import Request
from forecasting.batch.vintages import Vintage
from forecasting.config.job import Job
from pipelines import alerts, notices, tasks

__all__ = ["batch"]


@flow(name="batch", persist_result=False, timeout_seconds=12 * 3600)
def batch(
    job: Job,
    model: str = "champion",
    at: datetime | None = None,
    horizon: int | None = None,
    shards: int | None = None,
    runner: str = "local",
) -> Vintage | State[Any]:
    """Forecast every stored series from its last reading, or from its last one up to `at`."""
    if nothing := tasks.skipped(job):
        return nothing
    with alerts.failing(job, "batch"):
        tasks.tidy(job)
        request = Request(_utc(at), horizon, shards)
        return notices.forecasted(job, tasks.forecast(job, request, model=model, runner=runner))


def _utc(at: datetime | None) -> datetime | None:
    """Prefect's page gives a time with a zone; tables are in UTC and have none."""
    return at.astimezone(UTC).replace(tzinfo=None) if at is not None and at.tzinfo is not None else at
