"""Training: snapshot → baselines and network → backtest → gate → registry → last fit → forecast → report."""

from prefect import flow

from forecasting.config.job import Job
from forecasting.lifecycle.attempts import Attempt
from forecasting.report.outcome import Outcome
from forecasting.storage.snapshot import Snapshot
from forecasting.training.records import SCRATCH, Start
from pipelines import alerts, notices, tasks

__all__ = ["training"]


@flow(name="training", persist_result=False, timeout_seconds=48 * 3600)
def training(job: Job) -> Outcome:
    """Train a challenger on the stored observations and promote it only if the gate says so."""
    with tasks.alone(job), alerts.failing(job, "training"):
        data = tasks.take_snapshot(job)
        job = data.job
        run = tasks.open_run(job, data)
        if run.finished:
            return alerts.trained(job, notices.trained(job, tasks.recall(run)))
        rivals = tasks.fit_baselines(job, data)
        beside = tasks.backtest_rivals(job, data) if job.backtest.rivals else ()
        attempts = [_attempt(job, data, tasks.find_start(job, data))]
        decision = tasks.decide(job, data, run, attempts, rivals, beside)
        if not decision.settled:  # a warm challenger lost
            attempts.append(_attempt(job, data, SCRATCH))
            decision = tasks.decide(job, data, run, attempts, rivals, beside)
        final = None
        if job.train.final_fit and decision.judgment.verdict.passed:
            last = tasks.fit_finally(job, data, attempts[-1])
            final = tasks.replace_twin(job, data, run, attempts, decision=decision, last=last)
        vintage = tasks.forecast_live(job)
        outcome = tasks.conclude(job, data, run, attempts, decision, final=final, vintage=vintage)
        return alerts.trained(job, notices.trained(job, outcome))


def _attempt(job: Job, data: Snapshot, start: Start) -> Attempt:
    return Attempt(start, tuple(tasks.train(job, data, number, start) for number in range(len(data.folds))))
