"""Shared pieces of the commands: arguments, reading a job, printing JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:  # the command that needs a heavy package imports it
    from forecasting.config.job import Job

__all__ = ["Config", "Json", "Name", "print_json", "read_job"]

Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="The job's YAML file.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the job and of its registered model.")]


def read_job(path: Path) -> Job:
    """Read and check the job in a YAML file; raises ConfigError."""
    from forecasting.config.job import load_job

    return load_job(path)


def print_json(content: Any) -> None:
    """Print one JSON object on standard output."""
    typer.echo(json.dumps(content, indent=1, default=str, allow_nan=False))
