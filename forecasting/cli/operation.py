"""Commands of the closed loop: deployment and monitoring."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from forecasting.cli.arguments import Config, Json, print_json, read_job
from forecasting.errors import ConfigError, GatecastError
from pipelines.calls import in_process

__all__ = ["backup", "deploy", "monitor", "notify"]

_EVENTS: Final = 20  # unusual ones that a check shows


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The archive to write, or - for standard output.")],
    as_json: Json = False,
) -> None:
    """Back up the home, even during writes.

    Every table is as of one version. Restore it with tar -xz into an empty home.
    """
    from forecasting.config.settings import Settings
    from forecasting.runtime.files import replace
    from forecasting.runtime.workspace import Workspace
    from forecasting.storage.backup import backup as write

    workspace = Workspace(Settings().home)
    if not workspace.home.is_dir():
        raise ConfigError(f"there is no home {workspace.home}; set GATECAST_HOME to the one to copy")
    if str(file) == "-":
        write(workspace, sys.stdout.buffer)
        return
    versions: dict[str, int] = {}

    def fill(draft: Path) -> None:
        with draft.open("wb") as stream:
            versions.update(write(workspace, stream))

    replace(file.absolute(), fill)
    if as_json:
        print_json({"file": str(file), "tables": versions})
    else:
        typer.echo(f"{file}: {len(versions)} tables")


def deploy(
    config: Annotated[
        list[Path] | None,
        typer.Argument(metavar="CONFIG", help="YAML files of jobs (default: all in the folder GATECAST_JOBS)."),
    ] = None,
    pool: Annotated[str, typer.Option(help="Work pool whose workers run the flows; created if missing.")] = "gatecast",
    serve: Annotated[
        bool, typer.Option("--serve", help="Keep running as the worker; one machine needs no other.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Register the flows of every job at a Prefect server.

    The server is that of PREFECT_API_URL; every flow brings its schedule. Running it again changes nothing. Without
    --serve it then ends, and workers run the scheduled flows: prefect worker start.
    """
    from forecasting.cli.tables import show
    from forecasting.config.settings import Settings

    if not os.environ.get("PREFECT_API_URL"):
        raise ConfigError(
            "PREFECT_API_URL is not set; set it to a Prefect server, for example http://127.0.0.1:4200/api"
        )
    paths = config or sorted(Settings().jobs.glob("*.y*ml"))
    if not paths:
        raise ConfigError(f"no job to deploy: name CONFIG files, or put them into {Settings().jobs} (GATECAST_JOBS)")
    jobs = [read_job(path) for path in paths]
    from pipelines.deploy import register

    made = register(jobs, pool, only=not config)
    rows = [each._asdict() for each in made]
    if as_json:
        print_json({"pool": pool, "deployments": rows})
    else:
        show(f"deployments, work pool {pool}", rows)
    if serve:
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool])  # noqa: S606


def monitor(
    config: Config,
    act: Annotated[bool, typer.Option("--act", help="Act on the verdict: renew the intervals, or train.")] = False,
    as_json: Json = False,
) -> None:
    """Compare live forecasts with the readings and test for drift.

    A verdict is acted on once. With a server in PREFECT_API_URL, an event requests the training.
    """
    job = read_job(config)
    from forecasting.cli.tables import show
    from forecasting.columns import records
    from forecasting.insight.arrivals import events
    from forecasting.insight.news import rows_of
    from forecasting.lifecycle.home import open_home
    from pipelines import tasks
    from pipelines.monitor import monitor as flow
    from pipelines.training import training

    findings = in_process(flow, job, act=act)
    trained = None
    if act and findings.due and findings.action == "retrain" and not os.environ.get("PREFECT_API_URL"):
        trained = in_process(training, job)
        tasks.settle(findings)
    unusual = events(open_home().store, job.name)
    if as_json:
        found = {"run_id": trained and trained.run_id, "anomalies": records(unusual.head(_EVENTS))}
        print_json(findings.model_dump(mode="json") | found)
        return
    states = {"broken": "BROKEN"}
    rules = [
        {"": states.get(rule["state"], rule["state"]), "rule": rule["rule"], "why": rule["sentence"]}
        for rule in findings.rules
    ]
    show(f"{job.name}: promised and live", findings.scores)
    show("worst series", findings.worst)
    show("rules", rules)
    if findings.unscored:
        typer.echo(f"not scored, for only the forecast base is: the alternatives {', '.join(findings.unscored)}")
    if len(unusual):
        show("unusual readings, the latest first", rows_of(unusual.head(_EVENTS)))
    typer.echo(f"{findings.verdict}: {findings.summary}")


def notify(
    config: Config,
    test: Annotated[bool, typer.Option("--test", help="Send a test message to every sink, now.")] = False,
    as_json: Json = False,
) -> None:
    """List the messages about the job, or send a test.

    The sinks are those of `notify` in CONFIG, else of the file in GATECAST_NOTIFY.
    """
    job = read_job(config)
    from forecasting.cli.tables import show
    from forecasting.lifecycle.home import open_home
    from forecasting.notify.outbox import history, sinks_of, try_out

    home = open_home()
    names = [name for name, sink in sinks_of(job, home.notify) if sink is not None]
    if not names:
        raise ConfigError(f"{config} tells nobody; set notify in it, or GATECAST_NOTIFY to a file with the same keys")
    posted = try_out(job, home.notify) if test else history(home.store, job.name)
    rows = [
        {
            "at": f"{one.created:%Y-%m-%d %H:%M}",
            "sink": one.sink,
            "message": one.title,
            "state": one.state,
            "why": one.why,
        }
        for one in posted
    ]
    if as_json:
        print_json({"name": job.name, "sinks": names, "messages": rows})
    else:
        show(f"{job.name}: messages to {', '.join(names)}", rows)
    if test and (lost := [one for one in posted if one.state != "sent"]):
        raise GatecastError("; ".join(f"{one.sink}: {one.why}" for one in lost))
