"""Commands of the closed loop: what runs by itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from forecasting.cli_parts import Json, print_json, read_job
from forecasting.errors import ConfigError

__all__ = ["deploy"]


def deploy(
    config: Annotated[
        list[Path] | None,
        typer.Argument(metavar="CONFIG", help="YAML files of jobs; default: all in the folder GATECAST_JOBS."),
    ] = None,
    pool: Annotated[str, typer.Option(help="The work pool whose workers run the flows; made if absent.")] = "gatecast",
    serve: Annotated[
        bool, typer.Option("--serve", help="Stay, and be the worker: one machine needs no other.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Register every flow of every job with its schedule at the Prefect server that PREFECT_API_URL names.

    Repeated, it changes nothing. Without --serve it ends then, and workers run what is due: prefect worker start.
    """
    from forecasting.cli_tables import show
    from forecasting.settings import Settings

    if not os.environ.get("PREFECT_API_URL"):
        raise ConfigError("PREFECT_API_URL names no Prefect server; for example http://127.0.0.1:4200/api")
    paths = config or sorted(Settings().jobs.glob("*.y*ml"))
    if not paths:
        raise ConfigError(f"no job to deploy: name CONFIG files, or put them into {Settings().jobs} (GATECAST_JOBS)")
    from pipelines.deploy import register

    made = register([read_job(path) for path in paths], pool, only=not config)
    rows = [each._asdict() for each in made]
    if as_json:
        print_json({"pool": pool, "deployments": rows})
    else:
        show(f"deployments, work pool {pool}", rows)
    if serve:
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool])  # noqa: S606
