"""What a run leaves behind: tables, verdict and report as files, and one outcome that a program can read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict

from forecasting.batch import Vintage
from forecasting.bundle.forecaster import Forecaster
from forecasting.columns import CUTOFF, DS, UNIQUE_ID, Y
from forecasting.config import Job
from forecasting.insight.report import Report, write
from forecasting.promotion import Decision
from forecasting.series.snapshot import Snapshot

__all__ = ["Outcome", "Trained", "summary", "write_results"]

_EXAMPLES = 6  # backtest forecasts that the report draws
_SHOWN_HISTORY = 3  # contexts of history that the report draws of each series


class Outcome(BaseModel):
    """The result of a run: the same object for a person, a program and the archive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    run_id: str
    version: int
    model: str | None  # that went live by this run
    promoted: bool  # did the network go live
    fallback: bool  # did a baseline go live in its place
    champion: int | None  # the version that is live now
    verdict: list[dict[str, Any]]  # rule, figure, bound, passed, sentence
    leaderboard: list[dict[str, Any]]  # model and its metrics
    forecasts: dict[str, Any]  # table, rows, version
    report: str


class Trained(NamedTuple):
    """How the network was fitted: curves (epoch, loss, val_loss, seconds, fold) and what trained it."""

    curves: pd.DataFrame
    devices: tuple[str, ...]
    bundle: Path  # of the last fold


def summary(outcome: Outcome) -> str:
    """The outcome in one sentence."""
    challenger = outcome.leaderboard[0]["model"] if outcome.leaderboard else "the network"
    reasons = [rule["sentence"] for rule in outcome.verdict if not rule["passed"]]
    if outcome.promoted:
        return f"{outcome.model} passed every rule and is the champion, version {outcome.champion}."
    refused = f"{challenger} was refused: {'; '.join(reasons)}."
    if outcome.fallback:
        return f"{refused} The best baseline, {outcome.model}, serves in its place as version {outcome.champion}."
    if outcome.champion is None:
        return f"{refused} Nothing is live: there is no champion, and gate.fallback is none."
    return f"{refused} Version {outcome.champion} stays the champion."


def write_results(
    directory: Path,
    outcome: Outcome,
    job: Job,
    data: Snapshot,
    *,
    trained: Trained,
    decision: Decision,
    vintage: Vintage | None,
) -> None:
    """Write every table of the run and its report into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    contest = decision.contest
    for by in ("model", "series", "step", "window"):
        contest.table(by).to_csv(directory / f"by_{by}.csv", index=False)
    trained.curves.to_csv(directory / "curves.csv", index=False)
    data.decisions.to_csv(directory / "cleaning.csv", index=False)
    (directory / "verdict.json").write_text(contest.verdict.to_json(), encoding="utf-8")
    (directory / "config.yaml").write_text(_yaml(job), encoding="utf-8")
    write(
        directory / "report.html",
        Report(
            job=job.name,
            promoted=outcome.promoted,
            summary=summary(outcome),
            facts=_facts(outcome, data, trained),
            history=_history(data, job),
            forecasts=pd.DataFrame() if vintage is None else vintage.table,
            verdict=pd.DataFrame([asdict(rule) for rule in contest.verdict.rules]),
            leaderboard=contest.leaderboard,
            primary=job.gate.primary,
            by_step=contest.table("step"),
            examples=_examples(data, trained),
            curves=trained.curves,
            validation=_validation(data, job),
            decisions=data.decisions,
            config=_yaml(job),
        ),
    )
    (directory / "outcome.json").write_text(outcome.model_dump_json(indent=1), encoding="utf-8")


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON objects; what is not finite becomes null."""
    rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records", double_precision=10))
    return rows


def _facts(outcome: Outcome, data: Snapshot, trained: Trained) -> dict[str, str]:
    manifest = Forecaster.load(trained.bundle).bundle.manifest
    return {
        "Run": outcome.run_id,
        "Data version": f"{data.version} ({data.fingerprint[:12]})",
        "Readings": f"{int(data.table[Y].notna().sum()):,} of {data.table[UNIQUE_ID].nunique():,} series",
        "Span": f"{data.table[DS].min()} to {data.table[DS].max()}",
        "Fitted until": str(data.folds[-1].fit_until),
        "Cutoffs": f"{sum(len(fold.cutoffs) for fold in data.folds)} from {data.folds[0].cutoffs[0]}",
        "Trained on": "; ".join(trained.devices),
        "Weights": manifest.weights[:12],
        "Commit": manifest.origin.git_commit[:12] or "not a working copy",
        "Export parity": f"{manifest.origin.parity:.1e}",
        **{name: version for name, version in manifest.versions.items() if name in ("gatecast", "keras", "onnxruntime")},
    }


def _history(data: Snapshot, job: Job) -> pd.DataFrame:
    """The readings that the report draws: the end of each series, back to the first backtest cutoff."""
    ends = data.table.groupby(UNIQUE_ID).tail(_SHOWN_HISTORY * (job.window.context + job.window.horizon)).index
    recent = data.table[DS] >= data.folds[0].cutoffs[0] - _span(job)
    return data.table.loc[data.table.index.isin(ends) | recent, [UNIQUE_ID, DS, Y]]


def _span(job: Job) -> pd.Timedelta:
    stamps = pd.date_range("2000-01-03", periods=job.window.context + 1, freq=job.series.freq)
    return stamps[-1] - stamps[0]


def _examples(data: Snapshot, trained: Trained) -> pd.DataFrame:
    """Forecasts of the challenger at evenly spread cutoffs of the last fold, of the first series."""
    cutoffs = data.folds[-1].cutoffs
    chosen = cutoffs[:: max(1, len(cutoffs) // _EXAMPLES)][:_EXAMPLES]
    table = Forecaster.load(trained.bundle).at(data.table, chosen).table()
    names = sorted(table[UNIQUE_ID].unique())
    picked = {cutoff: names[i % len(names)] for i, cutoff in enumerate(chosen)}
    return table[table[UNIQUE_ID] == table[CUTOFF].map(picked)].reset_index(drop=True)


def _validation(data: Snapshot, job: Job) -> pd.DataFrame:
    from forecasting.series.validate import validate

    return validate(data.table, job.series).table()


def _yaml(job: Job) -> str:
    content = json.loads(job.model_dump_json(exclude_defaults=True))
    return yaml.safe_dump({"name": job.name, **content}, sort_keys=False, allow_unicode=True)


def curves_of(fits: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The curves of all folds under each other, with the number of the fold."""
    return pd.concat([curves.assign(fold=number) for number, curves in enumerate(fits)], ignore_index=True)
