"""The results of a run: tables, verdict, and report as files, and one outcome that a program can read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import yaml

from forecasting.batch.vintages import Absent, Vintage
from forecasting.bundle.artifact import Bundle, read_spec
from forecasting.bundle.forecaster import Forecaster, open_forecaster
from forecasting.bundle.quantile_forecaster import QuantileForecaster
from forecasting.columns import DS, UNIQUE_ID, Y, records
from forecasting.config.job import Job
from forecasting.insight.reach import Reach, reach
from forecasting.insight.sample import windows_of
from forecasting.lifecycle.attempts import Attempt
from forecasting.lifecycle.costs import costs
from forecasting.lifecycle.last_fit import FinalFit, rules_of
from forecasting.lifecycle.promotion import Decision
from forecasting.registry.registry import Registry
from forecasting.report import frames
from forecasting.report.advice import advice
from forecasting.report.notes import notes, of_live
from forecasting.report.outcome import Outcome, summary
from forecasting.report.page import Report, write
from forecasting.report.sections import breakdown, gate_table
from forecasting.report.texts import texts
from forecasting.report.tracked import described, logged
from forecasting.runtime.workspace import Workspace
from forecasting.series.moments import stamps_of
from forecasting.series.vocabulary import unit_of
from forecasting.storage import ingestion, remarks
from forecasting.storage.remarks import Remark
from forecasting.storage.snapshot import Snapshot
from forecasting.training.records import Fitted

__all__ = ["Finished", "conclude", "parameters"]

_EXAMPLES = 6  # backtest forecasts that the report draws
_FAILURES = 1000  # series without a forecast in an outcome
_REMARKS = 10_000  # series with a remark
_SHOWN_HISTORY = 3  # contexts of history that the report draws of each series


class Finished(NamedTuple):
    """Everything that a run has made when only its report is left."""

    job: Job
    run_id: str
    data: Snapshot
    attempts: Sequence[Attempt]
    decision: Decision
    final: FinalFit | None
    vintage: Vintage | Absent

    @property
    def fits(self) -> Sequence[Fitted]:
        """The learning of the last challenger, the judged one."""
        return self.attempts[-1].fits

    @property
    def curves(self) -> pd.DataFrame:
        """The training curves of all folds: epoch, loss, val_loss, seconds, fold."""
        numbered = [fit.curves.assign(fold=number) for number, fit in enumerate(self.fits)]
        return pd.concat(numbered, ignore_index=True)

    @property
    def tried(self) -> pd.DataFrame | None:
        """All candidates of the last fold's search; None where there was no search."""
        return self.fits[-1].tried


def conclude(registry: Registry, workspace: Workspace, run: Finished) -> Outcome:
    """Write the results, log them to the run, end the run; anything begun before a kill is written again."""
    job, run_id = run.job, run.run_id
    report = workspace.report(job.name, run_id)
    outcome = _outcome(registry, workspace, run, report)
    judgment = run.decision.judgment
    results = workspace.results(job.name, run_id)
    results.mkdir(parents=True, exist_ok=True)
    for by in ("model", "series", "step", "window"):
        judgment.table(by).to_csv(results / f"by_{by}.csv", index=False)
    run.curves.to_csv(results / "curves.csv", index=False)
    if run.tried is not None:
        run.tried.to_csv(results / "tried.csv", index=False)
        registry.runs.nest(run_id, records(run.tried))
    (results / "verdict.json").write_text(judgment.verdict.to_json(), encoding="utf-8")
    (results / "config.yaml").write_text(_yaml(job), encoding="utf-8")
    (results / "outcome.json").write_text(outcome.model_dump_json(indent=1), encoding="utf-8")
    write(report, _report(workspace, run, outcome))
    shutil.copyfile(report, results / "report.html")
    registry.runs.log_metrics(run_id, logged(judgment, run.curves, job.gate.primary) | _costs(outcome))
    registry.runs.log_artifacts(run_id, results)
    registry.runs.set_tags(
        run_id,
        {"gatecast.verdict": "passed" if outcome.promoted else "refused", "gatecast.summary": summary(outcome)[:5000]},
    )
    registry.runs.describe(run_id, described(outcome, job.gate.primary))
    registry.runs.finish(run_id)
    shutil.rmtree(results)
    return outcome


def _outcome(registry: Registry, workspace: Workspace, run: Finished, report: Path) -> Outcome:
    job, decision, vintage = run.job, run.decision, run.vintage
    champion = registry.versions.champion(job.name)
    return Outcome(
        name=job.name,
        run_id=run.run_id,
        version=decision.version,
        model=decision.promoted,
        promoted=decision.promoted is not None and not decision.fallback,
        fallback=decision.fallback,
        champion=champion.version if champion else None,
        verdict=[rule.plain() for rule in decision.judgment.verdict.rules],
        leaderboard=records(decision.judgment.standings),
        members=_members(run.fits[-1].bundle),
        challengers=costs(job, run.attempts, decision.judgment),
        final_fit=rules_of(run.final),
        forecasts=_where(workspace, job, vintage),
        series=_remarks(workspace, run),
        notes=[
            *notes(workspace, job, run.data, run.fits[-1], vintage),
            *of_live(job, decision, run.data.folds[-1].fit_until, run.final),
            *(one.message for one in ([] if isinstance(vintage, Absent) else vintage.cautions)),
        ],
        next_steps=advice(job, decision.judgment.verdict),
        report=str(report),
    )


def _members(bundle: Path) -> list[dict[str, Any]]:
    """The members of an ensemble, the heaviest first; empty for a single model."""
    return [one.model_dump(exclude={"fit"}) for one in sorted(read_spec(bundle).members, key=lambda one: -one.weight)]


def _where(workspace: Workspace, job: Job, vintage: Vintage | Absent) -> dict[str, Any]:
    if isinstance(vintage, Absent):
        return {"rows": 0, "reason": vintage.reason}
    table = str(workspace.forecasts(job.name))
    result = {"rows": vintage.rows, "table": table, "model": vintage.model, "version": vintage.version}
    result |= {"coverage": dict(vintage.coverage or {}), "warnings": [one.plain() for one in vintage.cautions]}
    return result | {"failed": len(vintage.failures), "failures": vintage.failures.head(_FAILURES).to_dict("records")}


def _remarks(workspace: Workspace, run: Finished) -> list[dict[str, Any]]:
    """Every series without a forecast, with an old one, or with one of a model that has not learned from it."""
    kept = remarks.recall(workspace, run.job.name)
    if isinstance(run.vintage, Absent) or kept is None:
        return []
    short = [
        Remark(unique_id=name, forecast=True, reason=f"{why}: the model has not learned from it")
        for name, why in run.data.left_out.items()
    ]
    without = {one.unique_id for one in kept.series if not one.forecast}
    found = (*kept.series, *(one for one in short if one.unique_id not in without))
    return [one.model_dump() for one in found[:_REMARKS]]


def _costs(outcome: Outcome) -> dict[str, float | Sequence[float]]:
    """The cost and gain of each challenger, by the name of its first weights."""
    return {
        f"challenger.{row['init']}.{name}": float(value)
        for row in outcome.challengers
        for name, value in row.items()
        if isinstance(value, int | float) and name != "from_version"
    }


def _report(workspace: Workspace, run: Finished, outcome: Outcome) -> Report:
    job, data, vintage, judgment = run.job, run.data, run.vintage, run.decision.judgment
    met = ingestion.recall(workspace, job.name)
    forecaster = open_forecaster(run.fits[-1].bundle)
    forecasts = pd.DataFrame() if isinstance(vintage, Absent) else vintage.table
    history = _history(data, job)
    looks, gates = _network(data, forecaster)
    return Report(
        job=job.name,
        promoted=outcome.promoted,
        summary=summary(outcome),
        facts=_facts(outcome, data, run.fits[-1], forecaster.bundle),
        history=history,
        forecasts=forecasts,
        verdict=pd.DataFrame([asdict(rule) for rule in judgment.verdict.rules]),
        leaderboard=judgment.standings,
        primary=job.gate.primary,
        by_step=judgment.table("step"),
        examples=_examples(data, forecaster),
        reach=looks,
        gates=gates,
        errors=breakdown(judgment, job.gate.primary),
        frames=_frames(data, forecaster),
        texts=texts(history, forecasts, unit_of(job)),
        metrics=judgment.backtests[0].scored.metrics,
        curves=run.curves.dropna(subset=["loss"]),
        tried=pd.DataFrame() if run.tried is None else run.tried,
        validation=met.violations,
        decisions=_once(pd.concat([met.decisions, data.decisions], ignore_index=True)),
        config=_yaml(job),
        notes=outcome.notes,
        next_steps=outcome.next_steps,
        remarks=pd.DataFrame(outcome.series),
    )


def _once(decisions: pd.DataFrame) -> pd.DataFrame:
    """Each decision once: of the ingested rows and of all that are stored, the latter counts."""
    return decisions.drop_duplicates(["decision", "note"], keep="last", ignore_index=True)


def parameters(job: Job) -> dict[str, str | float | int]:
    """The job as flat names and values, for the tables of MLflow."""
    sections = job.result_content
    flat: dict[str, str | float | int] = {}
    for section, content in sections.items():
        for name, value in content.items() if isinstance(content, dict) else [("", content)]:
            key = f"{section}.{name}" if name else section
            flat[key] = value if isinstance(value, str | int | float) else json.dumps(value)
    return flat


def _facts(outcome: Outcome, data: Snapshot, fitted: Fitted, bundle: Bundle) -> dict[str, str]:
    manifest = bundle.manifest
    shown = ("gatecast", "keras", "tensorflow", "onnxruntime")
    return _unknown(data, bundle) | {
        "Run": outcome.run_id,
        "Data version": f"{data.version} ({data.fingerprint[:12]})",
        "Readings": f"{int(data.table[Y].notna().sum()):,} of {data.table[UNIQUE_ID].nunique():,} series",
        "Span": f"{data.table[DS].min()} to {data.table[DS].max()}",
        "Fitted on readings up to": str(data.folds[-1].fit_until),
        "Cutoffs": f"{sum(len(fold.cutoffs) for fold in data.folds)} from {data.folds[0].cutoffs[0]}",
        **{f"Challenger from {row['init']}": _cost(row) for row in outcome.challengers},
        "Trained on" if fitted.tried is None else "Ensemble": "; ".join(fitted.devices),
        "Weights": manifest.weights[:12],
        "Commit": manifest.origin.git_commit[:12] or "not a working copy",
        "Export parity": f"{manifest.origin.parity:.1e}",
        "Versions": ", ".join(f"{name} {manifest.versions[name]}" for name in shown if name in manifest.versions),
    }


def _cost(row: dict[str, Any]) -> str:
    parts = [f"{row['steps']:,} steps in {row['seconds']:.1f} s"]
    parts += [f"weights of version {row['from_version']}"] if row["from_version"] else []
    parts += [
        f"{abs(row[key]):.1%} {'worse' if row[key] < 0 else 'better'} than {name}"
        for key, name in (("over_champion", "the champion"), ("over_scratch", "from scratch"))
        if row[key] is not None
    ]
    return "; ".join([*parts, *([row["note"]] if row["note"] else [])])


def _unknown(data: Snapshot, bundle: Bundle) -> dict[str, str]:
    """The size of the vocabulary, and how many of the judged symbols are not in it."""
    if bundle.spec.symbols is None:
        return {}
    vocabulary = bundle.spec.symbols.vocabulary
    judged = data.table.loc[data.table[DS] > data.folds[0].cutoffs[0], Y]
    unknown = int((vocabulary.encode(judged) == 0).sum())
    return {"Vocabulary": f"{vocabulary.size - 1:,} symbols; {unknown:,} of {len(judged):,} judged are unknown"}


def _history(data: Snapshot, job: Job) -> pd.DataFrame:
    """The readings in the report's charts: the end of each series, back to the first backtest cutoff."""
    ends = data.table.groupby(UNIQUE_ID).tail(_SHOWN_HISTORY * (job.window.context + job.window.horizon)).index
    first = stamps_of(data.folds[0].moments[0], data.table[UNIQUE_ID].to_numpy())
    recent = data.table[DS] >= first - _span(job)
    shown: pd.DataFrame = data.table.loc[data.table.index.isin(ends) | recent, [UNIQUE_ID, DS, Y]]
    return shown


def _span(job: Job) -> pd.Timedelta:
    stamps = pd.date_range("2000-01-03", periods=job.window.context + 1, freq=job.series.freq)
    return stamps[-1] - stamps[0]


def _examples(data: Snapshot, forecaster: Forecaster) -> pd.DataFrame:
    """Forecasts of the challenger at evenly spread cutoffs of the last fold, alternating between series."""
    moments = data.folds[-1].moments
    chosen = moments[:: max(1, len(moments) // _EXAMPLES)][:_EXAMPLES]
    made = [forecaster.at(data.table, chosen[i : i + 1]).table() for i in range(len(chosen))]
    names = sorted({name for table in made for name in table[UNIQUE_ID]})
    picked: list[pd.DataFrame] = [table[table[UNIQUE_ID] == names[i % len(names)]] for i, table in enumerate(made)]
    return pd.concat(picked, ignore_index=True)


def _network(data: Snapshot, forecaster: Forecaster) -> tuple[Reach | None, pd.DataFrame]:
    """How far back the challenger looks, and how its gates are used; nothing for a model of symbols."""
    if forecaster.spec.symbols is not None:
        return None, pd.DataFrame()
    model = QuantileForecaster(forecaster.bundle)
    windows = windows_of(model, data.table)
    return reach(model, windows), gate_table(model, windows)


def _frames(data: Snapshot, forecaster: Forecaster) -> Sequence[frames.Shown]:
    """Forecasts of whole frames at cutoffs of the last fold, for series on a layout."""
    layout = forecaster.spec.layout
    return () if layout is None else frames.shown(data.table, forecaster, layout, data.folds[-1].cutoffs)


def _yaml(job: Job) -> str:
    """The job as YAML: reading it again gives the same job."""
    return yaml.safe_dump(job.model_dump(mode="json", exclude_unset=True), sort_keys=False, allow_unicode=True)
