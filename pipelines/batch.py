"""Batch: the live model → forecasts of every series → vintages."""

from datetime import datetime

from prefect import flow

from forecasting.batch import Vintage
from forecasting.config import Job
from forecasting.shards.plan import Request
from pipelines import tasks

__all__ = ["batch"]


@flow(name="batch", persist_result=False)
def batch(
    job: Job,
    model: str = "champion",
    at: datetime | None = None,
    horizon: int | None = None,
    shards: int | None = None,
    runner: str = "local",
) -> Vintage:
    """Forecast every stored series from its last reading, or from its last one up to `at`."""
    return tasks.forecast(job, Request(at, horizon, shards), model=model, runner=runner)
