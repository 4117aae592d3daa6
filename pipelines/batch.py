"""Batch: the live model → forecasts of every series → vintages."""

from datetime import datetime

from prefect import flow

from forecasting.batch import Vintage
from forecasting.config import Job
from pipelines import notices, tasks

__all__ = ["batch"]


@flow(name="batch", persist_result=False, timeout_seconds=12 * 3600)
def batch(job: Job, model: str = "champion", at: datetime | None = None, horizon: int | None = None) -> Vintage:
    """Forecast every stored series from its last reading, or from its last one up to `at`."""
    return notices.forecasted(job, tasks.forecast(job, model=model, at=at, horizon=horizon))
