"""Faults of the stack: PostgreSQL goes away for a while under MLflow and Prefect; a worker is killed with its flow."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks.faults.bench import Bench, Round
from benchmarks.faults.homes import NAME, PATIENT, Done, Home
from benchmarks.faults.kills import SHARDED
from benchmarks.faults.servers import Postgres, prefect
from benchmarks.harness.processes import kill_tree, process, until
from benchmarks.harness.servers import mlflow
from forecasting.runtime.files import write_text
from forecasting.runtime.workspace import Workspace

__all__ = ["database", "worker"]

OUTAGE: Final = 60.0  # seconds
SILENCE: Final = timedelta(seconds=150)  # without a sign of life, of which deployed runs give one a minute
ENDS: Final = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
QUICK: Final = {
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "1",
    "PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY": "PT1S",
    "PREFECT_WORKER_QUERY_SECONDS": "2",
}
LOUD: Final = {"PREFECT_LOGGING_LEVEL": "INFO"}  # the first line tells that the flow has begun


def database(bench: Bench, rounds: int, *, outage: float = OUTAGE) -> Iterator[Round]:
    """PostgreSQL stops while a training, and then while a batch is under way, both tracked by a Prefect server."""
    place = bench.place / f"outage-{time.time_ns()}"
    postgres = Postgres(place / "postgres")
    urls = {"PREFECT_API_DATABASE_CONNECTION_URL": postgres.url("prefect", "postgresql+asyncpg")}
    store, files = postgres.url("mlflow", "postgresql+psycopg"), f"--artifacts-destination={(place / 'files').as_uri()}"
    try:
        with mlflow(place, store, files) as tracking, prefect(place, {**QUICK, **urls}) as api:
            watch = _zombies(api)
            for number in range(rounds):
                home = _named(bench, bench.ingested, f"outage-{number}", {**QUICK, **LOUD, "PREFECT_API_URL": api})
                home = replace(home, tracking=tracking.url)
                yield _cut(bench, postgres, home, bench.trained, ("train",), outage)
                for name in ("forecasts", "parts"):
                    (Workspace(home.path).tables(home.name) / name).rename(home.path / f"{name}-of-training")
                yield _cut(bench, postgres, home, bench.forecast, SHARDED, outage)
            yield Round("all flow runs have ended", watch())
    finally:
        postgres.stop()


def _cut(bench: Bench, postgres: Postgres, home: Home, twin: Home, words: tuple[str, ...], outage: float) -> Round:
    moment = float(bench.draw.uniform(0, 15))
    started = home.start(*words)
    first = started.stderr.readline() if started.stderr else ""  # its imports are done
    time.sleep(moment)
    running = started.poll() is None
    postgres.stop()
    time.sleep(outage)
    postgres.start()
    said = first + started.communicate(timeout=PATIENT)[1]
    done = Done(started.returncode, said)
    wrong = [] if done.clean else [f"no clear error but {done.code}: {done.last}"]
    for _ in range(3):  # the servers find back to their database
        if (again := home.run(*words)).code == 0:
            break
        wrong += [] if again.clean else [f"no clear error but {again.code}: {again.last}"]
        time.sleep(5)
    else:
        wrong.append(f"the repetition ended with {again.code}: {again.last}")
    wrong += bench.held_against(home, twin, keep=True)
    state = "while it ran" if running else "after its end"
    return Round(f"{words[0]}, {outage:g} s from {moment:.1f} s on, {state}: {done.code} {done.last[:120]}", wrong)


def worker(bench: Bench, rounds: int) -> Iterator[Round]:
    """A worker is killed with the training that it runs; another worker runs it again."""
    place = bench.place / f"worker-{time.time_ns()}"
    place.mkdir()
    with prefect(place, QUICK) as api:
        watch = _zombies(api)
        for number in range(rounds):
            home = _named(bench, bench.ingested, f"worker-{number}", {**QUICK, "PREFECT_API_URL": api})
            yield _orphaned(bench, home, api)
        yield Round("all flow runs have ended", watch())


def _orphaned(bench: Bench, home: Home, api: str) -> Round:
    deployed = home.run("deploy")
    if deployed.code:
        return Round("deploy", [f"ended with {deployed.code}: {deployed.last}"])
    with _worker(home) as pid:
        run = _start(api, home)
        until(lambda: _state(api, run) in ("PENDING", "RUNNING"))
        moment = float(bench.draw.uniform(0, 45))
        time.sleep(moment)
        before = _state(api, run)
        kill_tree(pid)
    with suppress(TimeoutError):
        until(lambda: _state(api, run) in ENDS)
    state = _state(api, run)
    wrong = [] if state in ("CRASHED", "COMPLETED") else [f"the killed run is {state}"]
    with _worker(home):
        again = _start(api, home)
        until(lambda: _state(api, again) in ENDS)
    if _state(api, again) != "COMPLETED":
        wrong.append(f"the repetition is {_state(api, again)}")
    note = f"killed {moment:.1f} s after the worker took it, {before}, in the end {state}"
    return Round(note, wrong + bench.held_against(home, bench.trained))


def _named(bench: Bench, begin: Home, name: str, extra: Mapping[str, str]) -> Home:
    """A copy whose job has a name of its own: rounds share the servers."""
    home = bench.fresh(begin, name)
    home = replace(home, name=name, config=home.path / "job.yaml", extra=extra)
    write_text(home.config, begin.config.read_text(encoding="utf-8").replace(f"name: {NAME}", f"name: {name}"))
    place = Workspace(home.path)
    place.tables(NAME).rename(place.tables(name))
    return home


@contextmanager
def _worker(home: Home) -> Iterator[int]:
    command = ["-m", "prefect", "worker", "start", "--pool", "gatecast"]
    environment = {**home.environment, "PYTHONPATH": str(Path.cwd())}
    with process(command, home.path / "worker.log", environment) as pid:
        yield pid


def _zombies(api: str) -> Any:
    """Runs without a sign of life crash soon; gives a function that tells which have not ended."""
    from prefect import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from pipelines.schedule import zombies

    with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
        client.create_automation(zombies(SILENCE).model_copy(update={"name": "impatient"}))

    def watch() -> list[str]:
        try:
            until(lambda: not _open(api))
        except TimeoutError:
            return [f"{run['name']} is {run['state_name']}" for run in _open(api)]
        return []

    return watch


def _open(api: str) -> list[dict[str, Any]]:
    runs = _ask("POST", f"{api}/flow_runs/filter", {})
    return [run for run in runs if run["state_type"] not in ENDS]


def _start(api: str, home: Home) -> str:
    deployment = _ask("GET", f"{api}/deployments/name/training/{home.name}")["id"]
    return str(_ask("POST", f"{api}/deployments/{deployment}/create_flow_run", {})["id"])


def _state(api: str, run: str) -> str:
    return str(_ask("GET", f"{api}/flow_runs/{run}")["state_type"])


def _ask(method: str, url: str, content: Any = None) -> Any:
    """What Prefect's server answers; 503 says that its database has much to do."""
    for _ in range(5):
        answer = httpx.request(method, url, json=content, timeout=60)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            break
        time.sleep(2)
    answer.raise_for_status()
    return answer.json()
