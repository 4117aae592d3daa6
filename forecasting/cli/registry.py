"""Commands of the registry: its versions, and which of them is live."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from forecasting.cli.arguments import Json, Name, print_json

__all__ = ["models", "promote", "rollback"]

Why = Annotated[str, typer.Option("--why", metavar="REASON", help="The reason, for the audit.")]


def models(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]")] = None,
    history: Annotated[bool, typer.Option("--history", help="The audit: who promoted what, and why.")] = False,
    as_json: Json = False,
) -> None:
    """List the registered models, or the versions of one."""
    from forecasting.cli.tables import show
    from forecasting.columns import records
    from forecasting.lifecycle.home import open_home

    registry = open_home().registry
    names = [name] if name else registry.versions.jobs()
    audits = {job: registry.aliases.history(job) for job in names} if history else None
    tables = audits or {job: records(registry.versions.table(job)) for job in names}
    if as_json:
        print_json(tables)
    elif not tables:
        typer.echo("no model is registered yet; register one with: gatecast run CONFIG")
    else:
        for job, rows in tables.items():
            show(job, rows if history else [_version_row(row) for row in rows])
            if not history and len({row["run_id"] for row in rows}) > 1:
                typer.echo("metrics of different runs are those of different backtests; gatecast backtest compares")


def promote(
    name: Name,
    version: Annotated[int, typer.Argument(metavar="VERSION")],
    force: Annotated[bool, typer.Option("--force", help="Even if the gate refused it; needs --why.")] = False,
    why: Why = "",
) -> None:
    """Make a version the champion by hand.

    The old champion becomes @previous.
    """
    from forecasting.errors import ConfigError, RefusedVersionError
    from forecasting.lifecycle.home import open_home
    from forecasting.registry.aliases import Cause

    if force and not why.strip():
        raise ConfigError("--force needs --why: the audit keeps the reason")
    try:
        open_home().registry.aliases.promote(name, version, cause=Cause(why, force=force))
    except RefusedVersionError as error:
        raise RefusedVersionError(f"{error}: gatecast promote {name} {version} --force --why REASON") from error
    typer.echo(f"{name}: version {version} is the champion")


def rollback(name: Name, why: Why = "") -> None:
    """Restore the previous champion."""
    from forecasting.lifecycle.home import open_home
    from forecasting.registry.aliases import Cause

    version = open_home().registry.aliases.rollback(name, cause=Cause(why))
    typer.echo(f"{name}: version {version} is the champion")


def _version_row(row: dict[str, Any]) -> dict[str, Any]:
    shown = {"version": row["version"], "aliases": row["aliases"], "model": row["model"], "verdict": row["verdict"]}
    shown |= {"created": row["created"][:16].replace("T", " "), "run": row["run_id"][:8]}
    return shown | {name: row.get(name) for name in ("wql", "mae", "mase", "coverage", "nats") if name in row}
