"""The command `gatecast`: progress on standard error, results on standard output, exit codes 0, 1, 2, and 3."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecasting.cli.arguments import Config, Json, Name, in_process, print_json, read_job
from forecasting.cli.operation import deploy, monitor
from forecasting.cli.service import new_key, serve
from forecasting.errors import ConfigError, DataError, GatecastError, NothingPromotedError, no_space

if TYPE_CHECKING:  # the command that needs a heavy package imports it
    from forecasting.config.job import Job

__all__ = ["app", "main"]

_FAILURES = 1000  # series in a JSON result

app = typer.Typer(
    name="gatecast",
    help="Forecasts with recurrent networks: trained, judged on rolling origins, and promoted only if better."
    " Every command takes --debug for a traceback.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def run(config: Config, as_json: Json = False) -> None:
    """The main job: ingest, train, backtest, gate, register, forecast, report."""
    job = read_job(config)  # before any heavy import: a mistake in it is reported at once
    from pipelines.ingest import ingest
    from pipelines.training import training

    in_process(ingest, job)
    _show_outcome(in_process(training, job), as_json)


@app.command()
def ingest(config: Config, as_json: Json = False) -> None:
    """Read, validate, and clean the source, and merge the readings into the job's table."""
    job = read_job(config)
    from forecasting.cli.tables import show
    from forecasting.lifecycle.home import open_home
    from pipelines.ingest import ingest as flow

    merged = in_process(flow, job)
    result = {"name": job.name, "version": merged.version, "inserted": merged.inserted, "updated": merged.updated}
    if as_json:
        print_json(result | {"table": str(open_home().workspace.observations(job.name))})
    else:
        show(f"{job.name}: data version {merged.version}", [result])


@app.command()
def check(
    config: Config,
    leakage: Annotated[bool, typer.Option("--leakage", help="Prove that no forecast sees past its cutoff.")] = False,
    as_json: Json = False,
) -> None:
    """Read the source and list every violation; --leakage proves that no forecast sees the future."""
    job = read_job(config)
    from forecasting.cli.tables import show
    from forecasting.lifecycle import checks
    from pipelines import tasks

    findings = checks.leakage(job, tasks.live_bundle(job)) if leakage else checks.source(job)
    if as_json:
        print_json(findings.to_dict())
    else:
        show(findings.title, findings.rows)
    if findings.failed:
        raise GatecastError(findings.failed)


@app.command()
def train(
    config: Config,
    init: Annotated[
        str | None,
        typer.Option(metavar="WHICH", help="Initial weights: scratch, champion, encoder, head, or a run ID."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a challenger on the stored observations, judge it, and promote it only if it is better."""
    from forecasting.config.job import beginning_with

    job = read_job(config)
    job = beginning_with(job, init) if init else job
    from pipelines.training import training

    _show_outcome(in_process(training, job), as_json)


@app.command()
def backtest(
    config: Config,
    model: Annotated[
        list[str] | None, typer.Option("--model", help="champion, a version, or a baseline; may be repeated.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all tables to FILE.")] = None,
) -> None:
    """Judge live models and baselines on the job's rolling origins."""
    job = read_job(config)
    from forecasting.cli.tables import show
    from forecasting.lifecycle import checks
    from forecasting.lifecycle.home import open_home
    from forecasting.runtime.files import write_text

    home = open_home()
    tables = checks.standings(home.store, home.registry, job, model or [])
    if output:
        write_text(output, json.dumps(tables, allow_nan=False))
    show(f"{job.name}: rolling origins", tables["leaderboard"])


@app.command()
def forecast(  # noqa: PLR0913  (an option of a command is an argument)
    config: Config,
    model: Annotated[str, typer.Option(help="An alias or a version.")] = "champion",
    at: Annotated[datetime | None, typer.Option(help="Cutoff: forecast as of this time.")] = None,
    horizon: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Steps ahead; may exceed the trained horizon.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help="For models of symbols: print a continuation of this text, store nothing.")
    ] = None,
    length: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="Number of symbols to generate after the prompt.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(min=0, help="Sampling temperature; 0: always the most likely.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the sampled symbols.")] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|TABLE",
            help="Also write to a .csv or .parquet file, a Delta table, or a database; frames to .nc or .npz.",
        ),
    ] = None,
    shards: Annotated[
        int | None, typer.Option(min=1, help="Number of shards (default: from the number of series).")
    ] = None,
    runner: Annotated[str, typer.Option(help="Where shards run: local (processes) or dask.")] = "local",
    as_json: Json = False,
) -> None:
    """Forecast every stored series with the live model and keep the vintage."""
    job = read_job(config)
    from forecasting.cli.tables import show
    from forecasting.storage.outlets import outlet
    from pipelines.batch import batch

    if prompt is not None:
        typer.echo(_continued(job, prompt, length, temperature, seed, model))
        return
    if any(option is not None for option in (length, temperature, seed)):
        raise ConfigError("--length, --temperature, and --seed need --prompt; stored forecasts use the job's settings")
    write = outlet(out, job.series) if out else None  # a target that cannot be written is reported before the forecast
    vintage = in_process(batch, job, model=model, at=at, horizon=horizon, shards=shards, runner=runner)
    if write:
        write(vintage.tables())
    result = {"name": job.name, "model": vintage.model, "version": vintage.version}
    result |= {"rows": vintage.rows, "written": vintage.written, "failed": len(vintage.failures)}
    if as_json:
        print_json(result | {"failures": vintage.failures.head(_FAILURES).to_dict("records")})
        return
    show(f"{job.name}: forecasts", [result])
    show("first rows", next(vintage.tables()).drop(columns=["created"]).head(12).to_dict("records"))
    if result["failed"]:
        show("series without a forecast", vintage.failures.head(12).to_dict("records"))


def _continued(
    job: Job, prompt: str, length: int | None, temperature: float | None, seed: int | None, model: str
) -> str:
    """Return a prompt with its continuation; missing options come from the job."""
    from forecasting.batch.vintages import continue_text
    from forecasting.bundle.generation import Sampling
    from forecasting.lifecycle.home import open_home
    from forecasting.series.vocabulary import join_symbols, unit_of

    drawn, registry = job.forecast, open_home().registry
    sampling = Sampling(
        drawn.temperature if temperature is None else temperature, drawn.seed if seed is None else seed, drawn.top
    )
    told = continue_text(registry, job, prompt, length or job.window.horizon, sampling, model=model)
    glue = "" if unit_of(job) == "character" else join_symbols(["", ""], unit_of(job))
    return prompt + glue + join_symbols(told.symbols, unit_of(job))


@app.command()
def promote(name: Name, version: Annotated[int, typer.Argument(metavar="VERSION")]) -> None:
    """Make a version the champion by hand; the old champion becomes @previous."""
    from forecasting.lifecycle.home import open_home

    open_home().registry.aliases.promote(name, version)
    typer.echo(f"{name}: version {version} is the champion")


@app.command()
def rollback(name: Name) -> None:
    """Restore the previous champion."""
    from forecasting.lifecycle.home import open_home

    typer.echo(f"{name}: version {open_home().registry.aliases.rollback(name)} is the champion")


@app.command()
def models(name: Annotated[str | None, typer.Argument(metavar="[NAME]")] = None, as_json: Json = False) -> None:
    """List the registered models, or the versions of one with their aliases and metrics."""
    from forecasting.cli.tables import show
    from forecasting.columns import records
    from forecasting.lifecycle.home import open_home

    registry = open_home().registry
    names = [name] if name else registry.versions.jobs()
    tables = {job: records(registry.versions.table(job)) for job in names}
    if as_json:
        print_json(tables)
    elif not tables:
        typer.echo("no model is registered yet; register one with: gatecast run CONFIG")
    else:
        for job, rows in tables.items():
            show(job, [_version_row(row) for row in rows])


@app.command()
def schema() -> None:
    """Print the JSON Schema of a job, for editors that complete and check YAML."""
    from forecasting.config.schema import schema_text

    typer.echo(schema_text(), nl=False)


app.command()(deploy)
app.command()(monitor)
app.command()(serve)
keys = typer.Typer(help="API keys of the service.", no_args_is_help=True)
keys.command("new")(new_key)
app.add_typer(keys, name="keys")


def main() -> None:
    """Run a command; an error becomes one clear message and its exit code."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(arguments, prog_name="gatecast")  # ends the process itself: 2 for wrong usage, 130 for an interrupt
    except GatecastError as error:
        if debug:
            raise
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        if debug:
            raise
        unexpected = f"unexpected {type(error).__name__}: {error} (--debug shows where)"
        typer.echo(f"error: {no_space(error) or unexpected}", err=True)
        sys.exit(1)


def _show_outcome(outcome: Any, as_json: bool) -> None:
    from forecasting.cli.tables import show
    from forecasting.report.results import summary

    if as_json:
        typer.echo(outcome.model_dump_json(indent=1))
    else:
        show(f"{outcome.name}: leaderboard", outcome.leaderboard)
        show("verdict", [_rule(rule) for rule in outcome.verdict])
        if any(row["from_version"] or row["note"] for row in outcome.challengers):
            show("challengers", outcome.challengers)
        typer.echo(summary(outcome))
        if outcome.forecasts["rows"]:
            typer.echo(f"{outcome.forecasts['rows']} forecasts in {outcome.forecasts['table']}")
        typer.echo(f"report: {outcome.report}")
    if outcome.champion is None:
        raise NothingPromotedError(summary(outcome))
    if not outcome.forecasts["rows"]:
        raise DataError(f"version {outcome.champion} is live, but made no forecasts: {outcome.forecasts['reason']}")


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    return {"": "passed" if rule["passed"] else "FAILED", "rule": rule["rule"], "why": rule["sentence"]}


def _version_row(row: dict[str, Any]) -> dict[str, Any]:
    shown = {"version": row["version"], "aliases": row["aliases"], "model": row["model"], "verdict": row["verdict"]}
    shown |= {"created": row["created"][:16].replace("T", " "), "run": row["run_id"][:8]}
    return shown | {name: row.get(name) for name in ("wql", "mae", "mase", "coverage", "nats") if name in row}
