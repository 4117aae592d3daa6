"""Commands of the service: `gatecast serve` and its API keys."""

from __future__ import annotations

import json
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
) -> None:
    """Answer forecast requests over HTTP with the live models."""
    from forecasting.config.settings import ServeSettings, Settings
    from forecasting.serve.server import run as answer

    serve_settings = ServeSettings()
    answer(
        Settings(),
        serve_settings.model_copy(update={"names": tuple(name)}) if name else serve_settings,
        host=host,
        port=port,
    )


def new_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Owner of the key; shown in the logs.")],
    scope: Annotated[
        list[str], typer.Option("--scope", help="read, forecast, or admin (all rights); may be repeated.")
    ],
    as_json: Json = False,
) -> None:
    """Make an API key. The secret is shown once; the service gets the entry, which cannot be turned back into the
    secret."""
    from forecasting.serve.keys import new_key as make

    made = make(name, scope)
    entry = made.entry.model_dump(mode="json")
    if as_json:
        print_json({"secret": made.secret, "entry": entry})
    else:
        typer.echo(f"secret, for its owner (not stored anywhere): {made.secret}")
        typer.echo("entry, for the list in GATECAST_SERVE_KEYS or the file named by GATECAST_SERVE_KEYS_FILE:")
        typer.echo(json.dumps(entry))
