"""The steps of the flows: each calls the library, and sets its retries and its timeout."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import pandas as pd
from prefect import State, task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.states import Completed
from rich.console import Console

from forecasting import sources
from forecasting.batch import runners
from forecasting.batch import vintages as batch
from forecasting.batch.alternatives import alternative_of, check_names
from forecasting.batch.plan import Alternative, Request
from forecasting.batch.vintages import Absent, Vintage
from forecasting.bundle.artifact import Origin
from forecasting.config.job import Job
from forecasting.evaluation import backtest
from forecasting.evaluation import judging as contest
from forecasting.evaluation import rivals as methods
from forecasting.evaluation.gate import Backtested
from forecasting.evaluation.judging import Candidate
from forecasting.lifecycle import first_weights, last_fit
from forecasting.lifecycle.attempts import Attempt, candidates
from forecasting.lifecycle.home import open_home
from forecasting.lifecycle.last_fit import FinalFit
from forecasting.lifecycle.promotion import Decision, Judging
from forecasting.lifecycle.promotion import decide as decide_under_lock
from forecasting.monitor import check as watch
from forecasting.monitor import findings as memory
from forecasting.monitor import recalibration as repair
from forecasting.monitor.findings import Findings
from forecasting.registry.runs import Run
from forecasting.report import results
from forecasting.report.outcome import Outcome
from forecasting.runtime import child, provenance
from forecasting.runtime.locks import run_lock
from forecasting.runtime.progress import Progress, listener
from forecasting.series import clean as cleaning
from forecasting.series import validate as validation
from forecasting.storage import ingestion, snapshot, watermarks
from forecasting.storage.observations import Merged
from forecasting.storage.snapshot import Snapshot
from forecasting.training.records import Fitted, Start

__all__ = [
    "alone",
    "backtest_rivals",
    "clean",
    "conclude",
    "decide",
    "find_start",
    "fit_baselines",
    "fit_finally",
    "forecast",
    "forecast_alternatives",
    "forecast_live",
    "live_bundle",
    "look",
    "open_run",
    "read",
    "read_alternatives",
    "recall",
    "renew_intervals",
    "replace_twin",
    "settle",
    "skipped",
    "store",
    "take_snapshot",
    "tidy",
    "train",
    "validate",
]

P = ParamSpec("P")
R = TypeVar("R")


def step(title: str, **options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A Prefect task inside a flow run; a plain call if the flow's body runs in process, without a server."""

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        tracked = task(name=title, persist_result=False, cache_policy=NO_CACHE, **options)(function)

        @functools.wraps(function)
        def call(*args: P.args, **named: P.kwargs) -> R:
            if FlowRunContext.get() is not None:
                return tracked(*args, **named)
            _say(title, mark="[dim]·[/dim] ")
            return function(*args, **named)

        return call

    return wrap


def alone(job: Job) -> AbstractContextManager[None]:
    """Run a job only once at a time in this home; a second run reports that and waits."""
    return run_lock(open_home().workspace.locks, job.name, waiting=_say)


@step("reading the source", retries=2, retry_delay_seconds=[2, 20])
def read(job: Job) -> tuple[pd.DataFrame, str | None]:
    """The rows that came since the last ingestion, or all of them, and the mark behind them."""
    home = open_home()
    version = home.store.observations.version(job.name)
    return sources.read_new(job, watermarks.recall(home.workspace, job, version))


@step("checking every row")
def validate(job: Job, raw: pd.DataFrame) -> validation.ValidationReport:
    """All violations; raises DataError if the table cannot be used."""
    report = validation.validate(raw, ingestion.any_length(job.series))
    report.raise_for_errors()
    return report


@step("cleaning")
def clean(job: Job, raw: pd.DataFrame) -> cleaning.Cleaned:
    """Clean order, duplicates, bounds, and ends."""
    return cleaning.clean(raw, ingestion.any_length(job.series))


@step("storing the observations")
def store(job: Job, report: validation.ValidationReport, cleaned: cleaning.Cleaned, mark: str | None = None) -> Merged:
    """Merge into the job's Delta table, the same rows once, and only then keep how far the source was read."""
    home = open_home()
    ingestion.merge_left(home.workspace, home.store.observations, job)
    changes = ingestion.static_changes(home.store.observations, job, cleaned.table)
    merged = ingestion.merge(home.store.observations, job, cleaned.table)
    report = replace(report, violations=(*report.violations, *changes))
    if mark is not None:
        watermarks.keep(home.workspace, job, mark, merged.version)
    ingestion.record(home.workspace, job.name, report, cleaned)
    brought = (one.message for one in report.violations if one.rule in ("static_changed", "only_ahead"))
    return replace(merged, notes=tuple(brought))


@step("loading the data of this run")
def take_snapshot(job: Job) -> Snapshot:
    """The latest stored observations, clean, with their rolling origins."""
    return snapshot.take(open_home().store, job)


@step("opening the run")
def open_run(job: Job, data: Snapshot) -> Run:
    """The MLflow run of this content: new, interrupted, or finished."""
    tags = {"gatecast.data": data.fingerprint, "gatecast.data_version": str(data.version)}
    tags["gatecast.commit"] = provenance.git_commit()
    return open_home().registry.runs.start(job.name, _key(data), results.parameters(job), tags)


@step("training the network")
def train(job: Job, data: Snapshot, number: int, start: Start) -> Fitted:
    """Fit fold `number` in a child process."""
    function = f"forecasting.{'selection.auto' if job.model.name == 'auto' else 'training.fit'}:fit_stored"
    arguments = (open_home().workspace.home, job, data.version, number)
    work = _work(job, data) / f"network-{start.init}-{number}"
    named = {"work": work, "origin": _origin(data), "start": start}
    return cast(Fitted, child.call(function, *arguments, timeout=job.train.timeout, **named))


@step("training the network once more, on all readings")
def fit_finally(job: Job, data: Snapshot, attempt: Attempt) -> Fitted | str:
    """The last fit in a child process, or the reason why there is none."""
    function = "forecasting.selection.final_fit:fit_finally_stored"
    arguments = (open_home().workspace.home, job, data.version, attempt.fits[-1].bundle)
    work = _work(job, data) / "network-final"
    named = {"work": work, "epochs": attempt.best_epoch, "start": attempt.start}
    return cast(Fitted | str, child.call(function, *arguments, timeout=job.train.timeout, **named))


@step("choosing the first weights")
def find_start(job: Job, data: Snapshot) -> Start:
    """The weights of the live model, if configured and available."""
    return first_weights.find_start(open_home().registry, job, data, work=_work(job, data))


@step("fitting the baselines")
def fit_baselines(job: Job, data: Snapshot) -> tuple[Candidate, ...]:
    """Fit every baseline on every fold."""
    if not job.symbolic:
        backtest.check_primary(data.table, job, data.folds)
    directory = _work(job, data) / "baselines"
    return contest.fit_baselines(data.table, job, data.folds, directory, origin=_origin(data))


@step("backtesting the rivals")
def backtest_rivals(job: Job, data: Snapshot) -> tuple[Backtested, ...]:
    """Methods of other packages on the same cutoffs; they cannot go live."""
    return tuple(methods.backtest_rivals(job.backtest.rivals, data.table, job, data.folds))


@step("backtesting all models on the same cutoffs, judging, registering")
def decide(
    job: Job,
    data: Snapshot,
    run: Run,
    attempts: Sequence[Attempt],
    rivals: tuple[Candidate, ...],
    beside: tuple[Backtested, ...] = (),
) -> Decision:
    """The verdict on the last attempt, and its effect on the aliases."""
    judging = _judging(job, data, run, attempts, rivals)._replace(beside=beside)
    return decide_under_lock(open_home().registry, judging)


@step("comparing the last fit with the judged model")
def replace_twin(
    job: Job, data: Snapshot, run: Run, attempts: Sequence[Attempt], *, decision: Decision, last: Fitted | str
) -> FinalFit:
    """Let the last fit serve if it is sane, in the place of its judged twin."""
    return last_fit.replace_twin(open_home().registry, _judging(job, data, run, attempts, ()), decision, last)


def skipped(job: Job) -> State[Any] | None:
    """The state of a scheduled run that has nothing to do before the first training; None for any other."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or context.flow_run.deployment_id is None:
        return None
    if open_home().registry.versions.champion(job.name) is not None:
        return None
    text = f"nothing is live for {job.name} yet: forecasts and checks begin after its first training"
    return Completed(name="Skipped", message=text)


@step("compacting the stored tables")
def tidy(job: Job) -> int:
    """Merge small or unordered files; delete files that no version of the last 30 days needs."""
    return open_home().store.compact(job.name)


@step("forecasting with the live model")
def forecast(job: Job, request: Request, *, model: str = "champion", runner: str = "local") -> Vintage:
    """Forecast every series and store the vintage, once; the runner runs its shards."""
    home = open_home()
    how = runners.runner(runner, home.dask)
    return batch.forecast(home.store, home.registry, job, model=model, request=request, runner=how)


@step("reading the alternatives")
def read_alternatives(job: Job, files: Mapping[str, str]) -> list[Alternative]:
    """The values known ahead of every alternative: name and file."""
    check_names([*files])
    store = open_home().store
    return [alternative_of(store, job, name, sources.ahead(job, path)) for name, path in files.items()]


@step("forecasting with the live model, once for each alternative")
def forecast_alternatives(
    job: Job, alternatives: Sequence[Alternative], request: Request, *, model: str = "champion", runner: str = "local"
) -> dict[str, Vintage | Absent]:
    """Forecast from the stored values and from each alternative; all of them are stored, by their names."""
    home = open_home()
    how = runners.runner(runner, home.dask)
    tables = (home.store, home.registry)
    return batch.forecast_alternatives(*tables, job, alternatives, model=model, request=request, runner=how)


@step("forecasting with the live model, if there is one")
def forecast_live(job: Job) -> Vintage | Absent:
    """Forecast with the champion, or give the reason why there are no forecasts."""
    home = open_home()
    return batch.forecast_live(home.store, home.registry, job)


@step("fetching the live model")
def live_bundle(job: Job) -> Path | None:
    """The verified bundle of the champion; none if nothing is live."""
    registry = open_home().registry
    return registry.cache.download(job.name, "champion") if registry.versions.champion(job.name) else None


@step("writing the report, closing the run")
def conclude(
    job: Job,
    data: Snapshot,
    run: Run,
    attempts: Sequence[Attempt],
    decision: Decision,
    *,
    final: FinalFit | None,
    vintage: Vintage | Absent,
) -> Outcome:
    """Log results and report to the run; its working folder goes."""
    home, finished = open_home(), results.Finished(job, run.run_id, data, attempts, decision, final, vintage)
    outcome = results.conclude(home.registry, home.workspace, finished)
    shutil.rmtree(_work(job, data), ignore_errors=True)
    return outcome


@step("loading the finished run of the same data, job, and code")
def recall(run: Run) -> Outcome:
    """The outcome of a run that need not be repeated."""
    return Outcome.model_validate_json(open_home().registry.runs.read_text(run.run_id, "outcome.json"))


@step("checking the live model")
def look(job: Job) -> Findings:
    """Live scores, drift, and the verdict."""
    home = open_home()
    return watch.look(home.store, home.registry, job)


@step("renewing the intervals of the live model")
def renew_intervals(job: Job, findings: Findings) -> int:
    """The version that is live afterwards, with the same weights."""
    home = open_home()
    return repair.renew_intervals(home.store, home.registry, job, findings, work=home.workspace.intervals(job.name))


@step("recording that the verdict was acted on")
def settle(findings: Findings) -> None:
    """Mark the verdict as acted on, so that it is not due again."""
    memory.acted(open_home().store, findings)


def _say(text: str, mark: str = "") -> None:
    if hears := listener():
        hears(Progress(text, 0, 0, text))
    else:
        Console(stderr=True).print(mark + text, highlight=False)


def _key(data: Snapshot) -> str:
    return provenance.run_key(data.job.result_content, data.fingerprint)


def _judging(job: Job, data: Snapshot, run: Run, attempts: Sequence[Attempt], rivals: Sequence[Candidate]) -> Judging:
    judged = candidates(job, attempts, rivals)
    return Judging(job, run.run_id, data.table, data.folds, judged, _work(job, data), again=attempts[-1].start.warm)


def _work(job: Job, data: Snapshot) -> Path:
    """The working folder of a run."""
    return open_home().workspace.run(job.name, _key(data))


def _origin(data: Snapshot) -> Origin:
    return Origin(data_version=data.fingerprint, git_commit=provenance.git_commit())
