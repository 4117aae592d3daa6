"""Run a job as the command line does, in a home with a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from forecasting.api.jobs import check_source
from forecasting.api.notices import showing
from forecasting.config.job import Job

if TYPE_CHECKING:
    from forecasting.report.outcome import Outcome

__all__ = ["run"]


def run(job: Job) -> Outcome:
    """Do what `gatecast run` does: ingest, train, judge, promote, forecast, report, in the home of `GATECAST_HOME`.

    The outcome has the leaderboard, the verdict, what is live, and the path of the report. Raises ConfigError for a job
    without a source.

    Examples:
        >>> fc.run(fc.job(freq="h", horizon=24))
        Traceback (most recent call last):
        forecasting.errors.ConfigError: the job has no source; give it one:
        source={'kind': 'file', 'path': 'readings.csv'}
    """
    check_source(job)
    from pipelines.calls import in_process
    from pipelines.ingest import ingest
    from pipelines.training import training

    with showing("running"):
        in_process(ingest, job)
        return cast("Outcome", in_process(training, job))
