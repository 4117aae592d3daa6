"""The command that forecasts: every stored series, or the continuation of a prompt."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from forecasting.cli.arguments import Config, Json, print_json, read_job
from forecasting.cli.what_if import forecast_what_if, pairs
from forecasting.errors import ConfigError
from pipelines.calls import in_process

if TYPE_CHECKING:  # the command that needs a heavy package imports it
    from forecasting.config.job import Job

__all__ = ["forecast"]

_FAILURES: Final = 1000  # series in a JSON result


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
    future: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="Also forecast an alternative of what is known ahead; repeatable."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Forecast every stored series with the live model."""
    job = read_job(config)
    if prompt is not None:
        typer.echo(_continued(job, prompt, length, temperature, seed, model))
        return
    if any(option is not None for option in (length, temperature, seed)):
        raise ConfigError("--length, --temperature, and --seed need --prompt; stored forecasts use the job's settings")
    options = {"model": model, "at": at, "horizon": horizon, "shards": shards, "runner": runner}
    if future:
        forecast_what_if(job, pairs(future), out, as_json=as_json, **options)
    else:
        _stored(job, out, as_json=as_json, **options)


def _stored(job: Job, out: str | None, *, as_json: bool, **options: Any) -> None:
    """Forecast every stored series, and print what came of it."""
    from forecasting.cli.tables import show, show_remarks
    from forecasting.storage.outlets import outlet
    from pipelines.batch import batch

    write = outlet(out, job.series) if out else None  # a target that cannot be written is reported before the forecast
    vintage = in_process(batch, job, **options)
    if write:
        write(vintage.tables())
    result = {"name": job.name, "model": vintage.model, "version": vintage.version}
    result |= {"rows": vintage.rows, "written": vintage.written, "failed": len(vintage.failures)}
    covered, warnings, remarks = dict(vintage.coverage or {}), vintage.cautions, vintage.remarks
    if as_json:
        failures = vintage.failures.head(_FAILURES).to_dict("records")
        beside = {"warnings": [one.plain() for one in warnings], "failures": failures}
        print_json(result | {"coverage": covered, **beside, "series": [one.model_dump() for one in remarks]})
        return
    show(f"{job.name}: forecasts", [result])
    for level, share in covered.items():
        typer.echo(f"its {level} % interval held {share:.1%} of the readings in the backtest")
    for warning in warnings:
        typer.echo(f"warning: {warning.message}")
    show("first rows", next(vintage.tables()).drop(columns=["created"]).head(12).to_dict("records"))
    show_remarks([one.model_dump() for one in remarks])


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
    continuation = continue_text(registry, job, prompt, length or job.window.horizon, sampling, model=model)
    glue = "" if unit_of(job) == "character" else join_symbols(["", ""], unit_of(job))
    return prompt + glue + join_symbols(continuation.symbols, unit_of(job))
