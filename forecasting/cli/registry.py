"""Commands of the registry: its versions, and which of them is live."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from forecasting.cli.arguments import Json, Name, print_json

__all__ = ["models", "promote", "rollback"]


def models(name: Annotated[str | None, typer.Argument(metavar="[NAME]")] = None, as_json: Json = False) -> None:
    """List the registered models, or the versions of one."""
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


def promote(name: Name, version: Annotated[int, typer.Argument(metavar="VERSION")]) -> None:
    """Make a version the champion by hand.

    The old champion becomes @previous.
    """
    from forecasting.lifecycle.home import open_home

    open_home().registry.aliases.promote(name, version)
    typer.echo(f"{name}: version {version} is the champion")


def rollback(name: Name) -> None:
    """Restore the previous champion."""
    from forecasting.lifecycle.home import open_home

    typer.echo(f"{name}: version {open_home().registry.aliases.rollback(name)} is the champion")


def _version_row(row: dict[str, Any]) -> dict[str, Any]:
    shown = {"version": row["version"], "aliases": row["aliases"], "model": row["model"], "verdict": row["verdict"]}
    shown |= {"created": row["created"][:16].replace("T", " "), "run": row["run_id"][:8]}
    return shown | {name: row.get(name) for name in ("wql", "mae", "mase", "coverage", "nats") if name in row}
