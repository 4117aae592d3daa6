"""A year of days: what comes, what the loop does with it, and how that compares with models left alone."""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from benchmarks.harness.fitting import with_training
from benchmarks.harness.homes import data_folder
from benchmarks.loop.arms import baseline_of, figures, first_made, forecasts_of, joined
from benchmarks.loop.readings import DAY, Readings, hourly_load
from forecasting.bundle.artifact import open_bundle
from forecasting.columns import CUTOFF
from forecasting.config.job import Job, load_job
from forecasting.lifecycle.home import open_home
from forecasting.monitor.findings import Findings
from forecasting.registry.cache import Cache
from forecasting.report.outcome import Outcome
from forecasting.runtime import child
from forecasting.storage.snapshot import take
from pipelines import tasks
from pipelines.batch import batch
from pipelines.ingest import ingest
from pipelines.monitor import monitor
from pipelines.training import training

__all__ = ["BEGIN", "Plan", "simulate"]

BEGIN: Final = pd.Timestamp("2017-08-03")  # the readings end a year later
HISTORY: Final = 3 * 364 * DAY
SHIFT_WEEK: Final = 30
SHIFT: Final = 0.2
FIRST: Final = {"init": "scratch", "epochs": 24, "windows_per_epoch": None, "patience": 4, "learning_rate": 0.003}


class Plan(NamedTuple):
    """What is simulated."""

    begin: pd.Timestamp
    weeks: int
    shifted: bool
    monitored: bool = True

    @property
    def shift_at(self) -> pd.Timestamp:
        """When the level rises, if it does."""
        return self.begin + 7 * SHIFT_WEEK * DAY

    @property
    def cutoffs(self) -> pd.DatetimeIndex:
        """One a day, at midnight."""
        return pd.date_range(self.begin, periods=7 * self.weeks, freq=DAY, unit="us")


class Diary:
    """What happened on which day, and the processor's seconds that each flow took."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.runs: Counter[str] = Counter()
        self.trainings: list[dict[str, Any]] = []
        self.verdicts: list[dict[str, Any]] = []

    def run(self, name: str, flow: Any, *args: Any) -> Any:
        """The body of a flow, as `gatecast` runs it where no Prefect server is named."""
        begin = time.process_time()
        result = flow.fn(*args)
        self.seconds[name] += time.process_time() - begin
        self.runs[name] += 1
        return result

    def trained(self, day: pd.Timestamp, outcome: Outcome, why: str) -> None:
        """A training and what came of it."""
        made = {"day": str(day.date()), "why": why, "promoted": outcome.promoted, "champion": outcome.champion}
        self.trainings.append(made | {"init": [row["init"] for row in outcome.challengers]})
        said = "promoted" if outcome.promoted else "refused"
        print(f"{day.date()} {why}: {said}, version {outcome.champion} is live", file=sys.stderr, flush=True)

    def found(self, day: pd.Timestamp, findings: Findings) -> None:
        """A verdict that is not `fine`, and the rules that were broken."""
        broken = [rule["rule"] for rule in findings.rules if rule["state"] == "broken"]
        self.verdicts.append(
            {"day": str(day.date()), "verdict": findings.verdict, "due": findings.due, "broken": broken}
        )
        print(f"{day.date()} {findings.verdict}: {', '.join(broken)}", file=sys.stderr, flush=True)


def simulate(plan: Plan, home: Path) -> dict[str, Any]:
    """Live through the year and hold it against the years without the loop."""
    begin = time.perf_counter()
    os.environ["GATECAST_HOME"] = str(home)
    child.call = _here  # 150 trainings would spend most of the time on importing TensorFlow
    rows = hourly_load(
        data_folder(),
        plan.begin - HISTORY,
        plan.cutoffs[-1] + DAY,
        shifted=plan.shift_at if plan.shifted else None,
        share=SHIFT,
    )
    source, job, diary = Readings(rows, home / "readings.csv"), _job(), Diary()
    first = _live(plan, source, job, diary, home)
    source.give(plan.cutoffs[-1] + DAY)
    diary.run("ingest", ingest, job)
    return {**_compare(plan, job, diary, first), "seconds": round(time.perf_counter() - begin)}


def _job() -> Job:
    return load_job(Path(__file__).with_name("job.yaml"))


def _live(plan: Plan, source: Readings, job: Job, diary: Diary, home: Path) -> dict[str, Path]:
    """Day after day; the models of the first day."""
    first: dict[str, Path] = {}
    for number, day in enumerate(plan.cutoffs):
        source.give(day)
        diary.run("ingest", ingest, job)
        if number % 7 == 0:
            learning = job if first else with_training(job, FIRST)
            outcome = diary.run("training", training, learning)
            diary.trained(day, outcome, "the week is over" if first else "nothing is live")
        first = first or _of_the_first_day(job, home)
        diary.run("batch", batch, job)
        if plan.monitored:
            _watch(job, day, diary)
    return first


def _watch(job: Job, day: pd.Timestamp, diary: Diary) -> None:
    """Look at the live model, and do what the verdict asks for, as `gatecast monitor --act` does."""
    findings = diary.run("monitor", monitor, job)
    if findings.verdict in ("fine", "not judged"):
        return
    diary.found(day, findings)
    if findings.due and findings.action == "retrain":
        diary.trained(day, diary.run("training", training, job), "the monitor asked")
        tasks.settle(findings)


def _of_the_first_day(job: Job, home: Path) -> dict[str, Path]:
    place = open_home()
    data = take(place.store, job)
    return {
        "train_once": Cache(place.registry.versions, home / "first").download(job.name, "champion"),
        **{name: baseline_of(name, job, data, home / "first" / "baselines") for name in ("seasonal_naive", "ridge")},
    }


def _compare(plan: Plan, job: Job, diary: Diary, first: dict[str, Path]) -> dict[str, Any]:
    place = open_home()
    readings = place.store.observations.read(job.name)
    made = first_made(place.store.forecasts.read(job.name))
    arms = {name: forecasts_of(path, readings, job, plan.cutoffs) for name, path in first.items()}
    rows = {name: joined(table, readings) for name, table in {"loop": made, **arms}.items()}
    result: dict[str, Any] = {"scenario": "shift" if plan.shifted else "plain", "weeks": plan.weeks}
    result |= {"begin": str(plan.begin.date()), "rows": {name: len(table) for name, table in rows.items()}}
    result["days_without_forecast"] = len(plan.cutoffs.difference(pd.DatetimeIndex(made[CUTOFF])))
    for name, table in rows.items():
        result |= {f"{metric}_{name}": value for metric, value in figures(table).items() if metric != "count"}
    result["coverage"] = result["coverage_loop"]
    months = {name: _by_month(table) for name, table in rows.items()}
    result["coverage_by_month"] = {month: row["coverage"] for month, row in months["loop"].items()}
    result["by_month"] = months
    result |= {
        "trainings": diary.trainings,
        "verdicts": diary.verdicts,
        "first": open_bundle(first["train_once"]).spec.model,
    }
    result["promotions"] = sum(row["promoted"] for row in diary.trainings)
    if plan.shifted:
        result["shift"] = _shifted(plan, diary, rows)
    result["processor_seconds"] = {name: round(seconds, 1) for name, seconds in diary.seconds.items()}
    result["runs"] = dict(diary.runs)
    return result


def _shifted(plan: Plan, diary: Diary, rows: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """How long the rise of the level went unnoticed, and what every model did before, just after, and later."""
    settled = plan.shift_at + 28 * DAY
    asked = [
        row["day"] for row in diary.verdicts if row["verdict"] != "fine" and row["day"] > str(plan.shift_at.date())
    ]
    noticed = (pd.Timestamp(asked[0]) - plan.shift_at).days if asked else None
    phases = {
        name: {
            "before": figures(table[table[CUTOFF] < plan.shift_at]),
            "four_weeks_after": figures(table[(table[CUTOFF] >= plan.shift_at) & (table[CUTOFF] < settled)]),
            "later": figures(table[table[CUTOFF] >= settled]),
        }
        for name, table in rows.items()
    }
    return {"noticed_after_days": noticed, "phases": phases}


def _by_month(rows: pd.DataFrame) -> dict[str, dict[str, float]]:
    return {str(month): figures(part) for month, part in rows.groupby(rows[CUTOFF].dt.to_period("M"))}


def _here(function: str, *args: object, timeout: float | None = None, **named: object) -> Any:  # noqa: ARG001
    """Like `child.call`, in this process, which nobody stops."""
    module, name = function.split(":")
    called: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return called(*args, **named)
