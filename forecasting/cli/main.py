"""The command `gatecast`: progress on standard error, results on standard output, exit codes 0, 1, 2, and 3."""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

from forecasting.cli.discovery import init, try_out
from forecasting.cli.forecasting import forecast
from forecasting.cli.insight import inspect
from forecasting.cli.jobs import backtest, check, ingest, run, schema, train, tune
from forecasting.cli.operation import backup, deploy, monitor, notify
from forecasting.cli.registry import models, promote, rollback
from forecasting.cli.service import new_key, serve
from forecasting.errors import GatecastError, no_space, not_installed

__all__ = ["app", "main"]

_DEBUG = "--debug"
_EVERYWHERE = f"{_DEBUG}, as in every command: show the traceback of an error."

app = typer.Typer(
    name="gatecast",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Rich would take longer to load than all of the help
)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(version("gatecast"))
        raise typer.Exit


@app.callback()
def gatecast(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option(_DEBUG, help="Show the traceback of an error; works in every command.")
    ] = False,
) -> None:
    """Forecasts with recurrent networks: trained, judged on rolling origins, and promoted only if better."""


app.command()(init)
app.command("try")(try_out)
for group in (
    (run, ingest, check, train, tune, backtest, forecast),
    (models, inspect, promote, rollback),
    (monitor, notify, deploy, serve, backup, schema),
):
    for command in group:
        app.command(epilog=_EVERYWHERE)(command)
keys = typer.Typer(help="API keys of the service.", no_args_is_help=True)
keys.command("new", epilog=_EVERYWHERE)(new_key)
app.add_typer(keys, name="keys")


def main() -> None:
    """Run a command; an error becomes one clear message and its exit code."""
    debug = _DEBUG in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != _DEBUG]
    try:
        app(arguments, prog_name="gatecast")  # ends the process itself: 2 for wrong usage, 130 for an interrupt
    except GatecastError as error:
        if debug:
            raise
        _end(error)
    except Exception as error:
        if debug:
            raise
        known = no_space(error) or (not_installed(error) if isinstance(error, ImportError) else None)
        _end(known or GatecastError(f"unexpected {type(error).__name__}: {error} (--debug shows where)"))


def _end(error: GatecastError) -> NoReturn:
    typer.echo(f"error: {error}", err=True)
    sys.exit(error.exit_code)
