"""Commands of the service: `gatecast serve` and its API keys."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from forecasting.cli.arguments import Json, print_json

__all__ = ["new_key", "serve"]


def serve(
    name: Annotated[
        list[str] | None, typer.Option("--name", help="NAME or NAME@VERSION (default: all champions).")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    ingest: Annotated[
        list[Path] | None,
        typer.Option("--ingest", metavar="CONFIG", help="A job whose readings may be sent; may be repeated."),
    ] = None,
    let_in: Annotated[
        bool, typer.Option("--open", help="Without API keys: let everyone read and forecast who reaches the address.")
    ] = False,
) -> None:
    """Answer forecast requests over HTTP with the live models."""
    from forecasting.config.settings import ServeSettings, Settings
    from forecasting.serve.server import run as answer

    serve_settings = ServeSettings()
    given = {
        "names": tuple(name or serve_settings.names),
        "ingest": tuple(ingest or serve_settings.ingest),
        "open": let_in or serve_settings.open,
    }
    answer(Settings(), serve_settings.model_copy(update=given), host=host, port=port)


def new_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Owner of the key; shown in the logs.")],
    scope: Annotated[
        list[str],
        typer.Option("--scope", help="read, forecast, write, or admin (all rights); may be repeated."),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="The only model of the key; may be repeated (default: all models)."),
    ] = None,
    days: Annotated[
        int | None, typer.Option("--days", min=1, help="Days until the key expires (default: never).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make an API key. The secret is shown once; the service gets the entry, which cannot be turned back into the
    secret."""
    from forecasting.serve.keys import new_key as make

    expires = None if days is None else datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
    made = make(name, scope, models=model or (), expires=expires)
    entry = made.entry.model_dump(mode="json", exclude_none=True)
    if as_json:
        print_json({"secret": made.secret, "entry": entry})
    else:
        typer.echo(f"secret, for its owner (not stored anywhere): {made.secret}")
        typer.echo("entry, for the list in GATECAST_SERVE_KEYS or the file named by GATECAST_SERVE_KEYS_FILE:")
        typer.echo(json.dumps(entry))
