"""Shared pieces of the commands: arguments, reading a job, running a flow, printing JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecasting.errors import GatecastError

if TYPE_CHECKING:  # the command that needs a heavy package imports it
    from forecasting.config.job import Job

__all__ = ["Config", "Json", "Name", "in_process", "print_json", "read_job"]

Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="The job's YAML file.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the job and of its registered model.")]


def read_job(path: Path) -> Job:
    """Read and check the job in a YAML file; raises ConfigError."""
    from forecasting.config.job import load_job

    return load_job(path)


def in_process(flow: Any, *args: Any, **named: Any) -> Any:
    """Run a flow: tracked if a Prefect server is configured, otherwise in this process without any server.

    Raises GatecastError if that server fails; finished work is kept.
    """
    if not os.environ.get("PREFECT_API_URL"):
        return flow.fn(*args, **named)
    from httpx import HTTPError
    from prefect import tags

    try:
        with tags("gatecast"):  # as for deployed runs: killed ones are found and set to Crashed
            return flow(*args, **named)
    except (HTTPError, RuntimeError) as error:
        why = str(error).strip().split("\n", 1)[0]
        if isinstance(error, RuntimeError) and "Failed to reach API" not in why:
            raise
        raise GatecastError(f"the Prefect server of PREFECT_API_URL failed: {why}; run again to resume") from error


def print_json(content: Any) -> None:
    """Print one JSON object on standard output."""
    typer.echo(json.dumps(content, indent=1, default=str, allow_nan=False))
