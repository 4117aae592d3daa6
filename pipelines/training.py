"""Training: snapshot → network and baselines → backtest → gate → registry → forecast → report."""

from prefect import flow

from forecasting.config import Job
from forecasting.insight.results import Outcome
from pipelines import notices, tasks
from pipelines.workspace import workspace

__all__ = ["training"]


@flow(name="training", persist_result=False, timeout_seconds=48 * 3600)
def training(job: Job) -> Outcome:
    """Train a challenger on the stored observations and promote it only if the gate says so."""
    with workspace().alone(job.name):
        data = tasks.take_snapshot(job)
        run = tasks.open_run(job, data)
        if run.finished:
            return notices.trained(job, tasks.recall(run))
        fits = [tasks.train(job, data, number) for number in range(len(data.folds))]
        rivals = tasks.fit_baselines(job, data)
        decision = tasks.decide(job, data, run, fits, rivals)
        vintage = tasks.forecast_live(job)
        return notices.trained(job, tasks.conclude(job, data, run, fits, decision, vintage))
