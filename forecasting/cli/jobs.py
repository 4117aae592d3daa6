"""Commands of a job: its schema, its data, its training, and its standings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from forecasting.cli.arguments import Config, Json, print_json, read_job
from forecasting.errors import DataError, GatecastError, NothingPromotedError
from pipelines.calls import in_process

__all__ = ["backtest", "check", "check_outcome", "ingest", "run", "schema", "train", "tune"]


def run(config: Config, as_json: Json = False) -> None:
    """Run the job: ingest, train, judge, promote, forecast, report."""
    job = read_job(config)  # before any heavy import: a mistake in it is reported at once
    from pipelines.ingest import ingest
    from pipelines.training import training

    in_process(ingest, job)
    _show_outcome(in_process(training, job), as_json)


def ingest(config: Config, as_json: Json = False) -> None:
    """Read, validate, clean, and store the readings of the source."""
    job = read_job(config)
    from forecasting.cli.tables import show
    from forecasting.lifecycle.home import open_home
    from pipelines.ingest import ingest as flow

    merged = in_process(flow, job)
    result = {"name": job.name, "version": merged.version, "inserted": merged.inserted, "updated": merged.updated}
    if as_json:
        table = str(open_home().workspace.observations(job.name))
        print_json(result | {"table": table, "notes": list(merged.notes)})
        return
    show(f"{job.name}: data version {merged.version}", [result])
    for note in merged.notes:
        typer.echo(f"note: {note}")


def check(
    config: Config,
    leakage: Annotated[bool, typer.Option("--leakage", help="Prove that no forecast sees past its cutoff.")] = False,
    as_json: Json = False,
) -> None:
    """List every violation in the source; with --leakage, find leaks."""
    job = read_job(config)
    from forecasting.cli.tables import show
    from forecasting.lifecycle import checks

    if leakage:
        from pipelines import tasks  # brings Prefect, which takes seconds

        findings = checks.leakage(job, tasks.live_bundle(job))
    else:
        findings = checks.source(job)
    if as_json:
        print_json(findings.to_dict())
    else:
        show(findings.title, findings.rows)
    if findings.failed:
        raise GatecastError(findings.failed)


def train(
    config: Config,
    init: Annotated[
        str | None,
        typer.Option(metavar="WHICH", help="Initial weights: scratch, champion, encoder, head, or a run ID."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a challenger and promote it only if it is better."""
    from forecasting.config.job import beginning_with

    job = read_job(config)
    job = beginning_with(job, init) if init else job
    from pipelines.training import training

    _show_outcome(in_process(training, job), as_json)


def backtest(
    config: Config,
    model: Annotated[
        list[str] | None, typer.Option("--model", help="champion, a version, a baseline, or a rival; may be repeated.")
    ] = None,
    external: Annotated[
        list[Path] | None,
        typer.Option(
            "--external", metavar="FILE", help="Forecasts of other models, as CSV or Parquet; may be repeated."
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all tables to FILE.")] = None,
) -> None:
    """Judge live models, baselines, and rivals on rolling origins."""
    job = read_job(config)
    from forecasting.cli.tables import show
    from forecasting.lifecycle import checks
    from forecasting.lifecycle.home import open_home
    from forecasting.runtime.files import write_text

    home = open_home()
    tables = checks.standings(home.store, home.registry, job, model or [], external or [])
    if output:
        write_text(output, json.dumps(tables, allow_nan=False))
    show(f"{job.name}: rolling origins", tables["leaderboard"])


def tune(
    config: Config,
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, help="Minutes of training in all.")],
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="The new job; by default CONFIG with -tuned.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Search for better settings of a network.

    It chooses on the validation span, and writes the best as a job.
    """
    job = read_job(config)
    from forecasting.cli.tables import show
    from forecasting.columns import records
    from forecasting.lifecycle.home import open_home
    from forecasting.lifecycle.tuned_job import tune as study
    from forecasting.lifecycle.tuned_job import write_tuned

    found = study(open_home(), job, minutes)
    written = output or config.with_name(f"{config.stem}-tuned{config.suffix}")
    write_tuned(config, written, found)
    if as_json:
        print_json({"name": job.name, "job": str(written), "trials": records(found.trials)})
        return
    show(f"{job.name}: the best on the validation windows", records(found.trials.head(12)))
    typer.echo(f"{written} has the best network; gatecast run {written} judges it")


def schema() -> None:
    """Print the JSON Schema of a job, for editors."""
    from forecasting.config.schema import schema_text

    typer.echo(schema_text(), nl=False)


def _show_outcome(outcome: Any, as_json: bool) -> None:
    from forecasting.cli.tables import show, show_remarks
    from forecasting.report.outcome import summary

    if as_json:
        typer.echo(outcome.model_dump_json(indent=1))
    else:
        show(f"{outcome.name}: leaderboard", outcome.leaderboard)
        show("verdict", [_rule(rule) for rule in outcome.verdict])
        if outcome.members:
            show("ensemble", outcome.members)
        if any(row["from_version"] or row["note"] for row in outcome.challengers):
            show("challengers", outcome.challengers)
        typer.echo(summary(outcome))
        for number, step in enumerate(outcome.next_steps, start=1):
            typer.echo(f"try next {number}: {step}")
        for note in outcome.notes:
            typer.echo(f"note: {note}")
        show_remarks(outcome.series)
        if outcome.forecasts["rows"]:
            typer.echo(f"{outcome.forecasts['rows']} forecasts in {outcome.forecasts['table']}")
        typer.echo(f"report: {outcome.report}")
    check_outcome(outcome)


def check_outcome(outcome: Any) -> None:
    """Raise NothingPromotedError if nothing is live, DataError if what is live makes no forecasts."""
    from forecasting.report.outcome import summary

    if outcome.champion is None:
        raise NothingPromotedError(summary(outcome))
    if not outcome.forecasts["rows"]:
        raise DataError(f"version {outcome.champion} is live, but made no forecasts: {outcome.forecasts['reason']}")


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    return {"": "passed" if rule["passed"] else "FAILED", "rule": rule["rule"], "why": rule["sentence"]}
