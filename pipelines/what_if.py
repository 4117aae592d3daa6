"""What if: the live model → forecasts from the stored values, and from named alternatives of what is known ahead."""

from datetime import datetime

from prefect import flow

from forecasting.batch.plan import Request
from forecasting.batch.vintages import Absent, Vintage
from forecasting.config.job import Job
from pipelines import tasks

__all__ = ["what_if"]


@flow(name="what-if", persist_result=False, timeout_seconds=12 * 3600)
def what_if(
    job: Job,
    future: dict[str, str],
    model: str = "champion",
    at: datetime | None = None,
    horizon: int | None = None,
    shards: int | None = None,
    runner: str = "local",
) -> dict[str, Vintage | Absent]:
    """Forecast every stored series as usual, and once more for each file of `future`, by its name."""
    tasks.tidy(job)
    alternatives = tasks.read_alternatives(job, future)
    return tasks.forecast_alternatives(job, alternatives, Request(at, horizon, shards), model=model, runner=runner)
