"""What the commands share: their arguments, how a job is read, how a flow is run, how JSON is printed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecasting.errors import GatecastError

if TYPE_CHECKING:  # everything heavy is imported by the command that needs it
    from forecasting.config.job import Job

__all__ = ["Config", "Json", "Name", "in_process", "print_json", "read_job"]

Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="The job's YAML file.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The job, which is also the registered model's name.")]


def read_job(path: Path) -> Job:
    """The job of a YAML file, checked; raises ConfigError."""
    from forecasting.config.job import load_job

    return load_job(path)


def in_process(flow: Any, *args: Any, **named: Any) -> Any:
    """Run a flow: tracked where a Prefect server is named, else its body alone, without any server.

    Raises GatecastError where that server fails; what was finished by then is kept.
    """
    if not os.environ.get("PREFECT_API_URL"):
        return flow.fn(*args, **named)
    from httpx import HTTPError
    from prefect import tags

    try:
        with tags("gatecast"):  # as of deployed runs: killed ones are found and set to Crashed
            return flow(*args, **named)
    except (HTTPError, RuntimeError) as error:
        why = str(error).strip().split("\n", 1)[0]
        if isinstance(error, RuntimeError) and "Failed to reach API" not in why:
            raise
        raise GatecastError(f"the Prefect server of PREFECT_API_URL failed: {why}; run again to go on") from error


def print_json(content: Any) -> None:
    """One JSON object on standard output."""
    typer.echo(json.dumps(content, indent=1, default=str, allow_nan=False))
