"""Deployments on a real Prefect server with a real worker: registered once, run one at a time, following events."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from uuid import uuid4

import httpx
import pandas as pd
import psutil
import pytest
import yaml
from filelock import FileLock
from prefect import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from forecasting.runtime.events import OBSERVATIONS, resource
from forecasting.serve.announcing import Announcer
from forecasting.storage.store import Store
from pipelines.notices import RETRAIN
from pipelines.schedule import zombies

T = TypeVar("T")
PATIENT = 420  # seconds that anything may take on a busy machine
QUICK = {
    "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "1",
    "PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY": "PT1S",
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
    "PREFECT_WORKER_QUERY_SECONDS": "1",
}
ENDS = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}

pytestmark = pytest.mark.timeout(1200)


class Place(NamedTuple):
    """A Prefect server, and a home with a live model whose readings have not been ingested yet."""

    folder: Path
    environment: dict[str, str]

    @property
    def home(self) -> Path:
        """Where flows keep things."""
        return Path(self.environment["GATECAST_HOME"])

    def api(self, method: str, path: str, content: Any = None) -> Any:
        """What the server answers, once its SQLite is not locked by its own services; a read is repeated."""
        url = f"{self.environment['PREFECT_API_URL']}{path}"

        def asked() -> list[httpx.Response]:
            try:
                answer = httpx.request(method, url, json=content, timeout=20 if method == "GET" else 60)
            except httpx.ReadTimeout:
                if method == "GET":
                    return []
                raise
            return [] if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else [answer]

        [given] = until(asked)
        given.raise_for_status()
        return given.json() if given.content else None

    def all(self, what: str) -> list[dict[str, Any]]:
        """All deployments, automations, flow_runs, artifacts, work_pools."""
        found: list[dict[str, Any]] = self.api("POST", f"/{what}/filter", {})
        return sorted(found, key=lambda each: each["created"])

    def deployment(self, flow: str) -> dict[str, Any]:
        """The deployment of this flow."""
        found: dict[str, Any] = self.api("GET", f"/deployments/name/{flow}/tiny")
        return found

    def runs(self, flow: str) -> list[dict[str, Any]]:
        """The runs of this flow that do not come from the clock, in the order in which they were asked for."""
        wanted = self.deployment(flow)["id"]
        return [run for run in self.all("flow_runs") if run["deployment_id"] == wanted and not run["auto_scheduled"]]

    def start(self, flow: str, **parameters: Any) -> str:
        """Ask for a run of this flow, now; its id."""
        path = f"/deployments/{self.deployment(flow)['id']}/create_flow_run"
        return str(self.api("POST", path, {"parameters": parameters})["id"])

    def state(self, run: str) -> str:
        """How it is with the run."""
        return str(self.api("GET", f"/flow_runs/{run}")["state_type"])

    def wait(self, run: str) -> str:
        """How the run has ended."""
        return until(lambda: found if (found := self.state(run)) in ENDS else None)

    def deploy(self, *arguments: str) -> dict[str, Any]:
        """`gatecast deploy … --json`."""
        command = [
            sys.executable,
            "-c",
            "from forecasting.cli.main import main; main()",
            "deploy",
            *arguments,
            "--json",
        ]
        done = subprocess.run(
            command, env=self.environment, cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    @contextmanager
    def worker(self) -> Iterator[psutil.Process]:
        """A worker process; it and all that it has started is killed at the end."""
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "gatecast"]
        with (self.folder / "worker.log").open("a") as log:
            started = subprocess.Popen(command, env=self.environment, cwd=self.folder, stdout=log, stderr=log)
        try:
            yield psutil.Process(started.pid)
        finally:
            kill_tree(psutil.Process(started.pid))
            started.wait()


def kill_tree(process: psutil.Process) -> None:
    """SIGKILL for the process and all that it has started."""
    for each in [*process.children(recursive=True), process]:
        each.kill()


def until(seen: Callable[[], T | None]) -> T:
    """The first answer that is not empty."""
    end = time.monotonic() + PATIENT
    while time.monotonic() < end:
        if found := seen():
            return found
        time.sleep(0.5)
    raise AssertionError(f"not seen within {PATIENT} s")


def answers(url: str) -> bool:
    """Whether a server is there."""
    try:
        return httpx.get(f"{url}/health", timeout=5).is_success
    except httpx.HTTPError:
        return False


def write_config(path: Path, finished: Any, **schedule: str) -> str:
    """The finished job with this schedule; when a job runs is no part of a run, so the finished one is recalled."""
    content = {**yaml.safe_load(finished.config.read_text(encoding="utf-8")), "schedule": schedule}
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, finished: Any) -> Iterator[Place]:
    """One server for all tests of this file."""
    folder = tmp_path_factory.mktemp("stack")
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    environment = {**os.environ, **QUICK, "PREFECT_HOME": str(folder / "prefect"), "PREFECT_API_URL": url}
    environment |= {"GATECAST_HOME": str(folder / "home"), "PYTHONPATH": os.pathsep.join(sys.path)}
    shutil.copytree(finished.home, folder / "home")
    shutil.rmtree(folder / "home" / "tables")
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        until(lambda: answers(url))
        yield Place(folder, environment)
    finally:
        kill_tree(psutil.Process(server.pid))
        server.wait()


@pytest.fixture(scope="module")
def config(place: Place, finished: Any) -> str:
    """A job whose readings come by the clock, and whose other flows follow; deployed."""
    path = write_config(place.folder / "jobs" / "tiny.yaml", finished, time_zone="Europe/Berlin", ingest="5 4 1 * *")
    place.deploy(path)
    return path


@pytest.fixture
def worker(place: Place, config: str) -> Iterator[psutil.Process]:
    """A worker for one test."""
    with place.worker() as process:
        yield process


def standing(place: Place) -> dict[str, Any]:
    """Everything that a deployment makes on the server, with the times when it was made."""
    kept = {what: place.all(what) for what in ("deployments", "automations", "work_pools")}
    for pool in kept["work_pools"]:
        pool.pop("status")
    runs = [run for run in place.all("flow_runs") if run["auto_scheduled"]]
    return {**kept, "runs": [(run["id"], run["expected_start_time"]) for run in runs]}


def test_deploying_twice_changes_nothing(place: Place, config: str) -> None:
    """Deployments, schedules, coming runs, automations and the pool stay as they were, to the time of their change."""
    ingest = place.deployment("ingest")["id"]
    until(lambda: [run for run in place.all("flow_runs") if run["deployment_id"] == ingest])  # the scheduler's
    before = standing(place)

    told = place.deploy(config)["deployments"]

    assert [each["changed"] for each in told] == [False] * len(told)
    assert standing(place) == before
    assert {each["name"]: each["cron"] for each in told} == {
        each["name"]: "5 4 1 * *" if each["name"] == "ingest/tiny" else None for each in told
    }


def test_deployment_says_when_how_and_with_what(place: Place, config: str) -> None:
    """Zone, limit with a queue, tags and the whole job stand on the server, where a person can read them."""
    found = place.deployment("ingest")

    [plan] = found["schedules"]
    assert (plan["schedule"]["cron"], plan["schedule"]["timezone"]) == ("5 4 1 * *", "Europe/Berlin")
    assert (found["global_concurrency_limit"]["limit"], found["concurrency_options"]["collision_strategy"]) == (
        1,
        "ENQUEUE",
    )
    assert found["tags"] == ["gatecast", "tiny"]
    assert found["parameters"]["job"]["window"] == {"context": 12, "horizon": 4}
    first = min(run["expected_start_time"] for run in place.all("flow_runs") if run["deployment_id"] == found["id"])
    assert pd.Timestamp(first).tz_convert("Europe/Berlin").strftime("%d %H:%M") == "01 04:05"


@pytest.mark.parametrize("wrong", [{"horizon": "soon"}, {"horizont": 3}], ids=["type", "key"])
def test_wrong_parameters_are_refused_by_the_server(place: Place, config: str, wrong: dict[str, Any]) -> None:
    """No run starts with a job that could not be read."""
    job = place.deployment("ingest")["parameters"]["job"]
    with pytest.raises(httpx.HTTPStatusError, match="409"):
        place.start("ingest", job={**job, "window": {**job["window"], **wrong}})


def test_what_a_configuration_drops_disappears(place: Place, finished: Any) -> None:
    """A line that is taken out stops its schedule, and a job that leaves the folder takes its deployments along."""
    folder = place.folder / "folder"
    write_config(folder / "tiny.yaml", finished, ingest="5 * * * *", batch="10 * * * *")
    other = yaml.safe_load((folder / "tiny.yaml").read_text(encoding="utf-8")) | {"name": "other"}
    (folder / "other.yaml").write_text(yaml.safe_dump(other), encoding="utf-8")
    here = place._replace(environment={**place.environment, "GATECAST_JOBS": str(folder)})
    names = {each["name"] for each in here.deploy()["deployments"]}
    assert {"ingest/tiny", "ingest/other", "batch/tiny", "batch/other"} <= names
    assert len(place.deployment("batch")["schedules"]) == 1

    (folder / "other.yaml").unlink()
    write_config(folder / "tiny.yaml", finished, ingest="5 * * * *")
    told = here.deploy()["deployments"]

    assert {each["name"]: each["changed"] for each in told}["batch/tiny"] is True
    assert place.deployment("batch")["schedules"] == []
    assert {each["name"] for each in place.all("deployments")} == {"tiny"}
    assert [each["name"] for each in place.all("automations") if "other" in each["tags"]] == []
    place.deploy(str(place.folder / "jobs" / "tiny.yaml"))


def test_two_ingests_at_once_bring_the_rows_once_and_forecasts_follow(
    place: Place, finished: Any, worker: psutil.Process
) -> None:
    """The second waits for the first and finds nothing new; new readings start a batch, old ones none."""
    first, second = place.start("ingest"), place.start("ingest")
    assert [place.wait(run) for run in (first, second)] == ["COMPLETED"] * 2

    runs = sorted((place.api("GET", f"/flow_runs/{run}") for run in (first, second)), key=lambda r: r["start_time"])
    assert runs[0]["end_time"] <= runs[1]["start_time"]
    pd.testing.assert_frame_equal(
        Store(place.home).observations.read("tiny"), Store(finished.home).observations.read("tiny")
    )
    assert Store(place.home).observations.version("tiny") == 0  # one commit

    [batch] = until(lambda: place.runs("batch"))
    assert place.wait(batch["id"]) == "COMPLETED"
    kept, expected = (
        Store(home).forecasts.read("tiny").drop(columns="created") for home in (place.home, finished.home)
    )
    pd.testing.assert_frame_equal(kept, expected)
    assert len(place.runs("batch")) == 1
    shown = {each["key"]: each for each in place.all("artifacts") if each["key"]}
    assert {"tiny-validation", "tiny-forecasts"} <= set(shown)
    assert shown["tiny-forecasts"]["flow_run_id"] == batch["id"]


def test_readings_that_a_service_has_merged_start_what_follows_them(
    place: Place, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One event for all that was merged in a while, sent without Prefect's packages; what is left at the end, too."""
    monkeypatch.setenv("PREFECT_API_URL", place.environment["PREFECT_API_URL"])
    before = len(place.runs("batch"))
    told = Announcer(3600)
    told.merged("tiny", 3)
    until(lambda: len(place.runs("batch")) == before + 1)
    told.merged("tiny", 4)
    told.merged("other", 0)
    told.rest()
    until(lambda: len(place.runs("batch")) == before + 2)
    wanted = {"event": {"name": [OBSERVATIONS]}, "resource": {"id": ["gatecast.job.tiny"]}}

    def merged() -> set[int | None]:
        events = place.api("POST", "/events/filter", {"filter": wanted})["events"]
        return {each["payload"].get("merged") for each in events}

    until(lambda: {3, 4} <= merged())  # the server stores an event after it has acted on it


def test_wish_of_the_monitor_starts_a_training(place: Place, finished: Any, worker: psutil.Process) -> None:
    """The event starts the training flow, whose run shows leaderboard, verdict and the way to the report."""
    place.api("POST", "/events", [event(RETRAIN)])

    [run] = until(lambda: place.runs("training"))
    assert place.wait(run["id"]) == "COMPLETED"
    shown = {each["key"]: each for each in place.all("artifacts") if each["flow_run_id"] == run["id"]}
    assert set(shown) == {"tiny-leaderboard", "tiny-verdict", "tiny-report"}
    assert [row["model"] for row in json.loads(shown["tiny-leaderboard"]["data"])] == [
        row["model"] for row in finished.outcome["leaderboard"]
    ]
    assert finished.outcome["run_id"] in shown["tiny-report"]["data"]


def event(name: str) -> dict[str, Any]:
    """An event of the job as the server takes it."""
    now = pd.Timestamp.now("UTC").isoformat()
    return {"id": str(uuid4()), "occurred": now, "event": name, "resource": resource("tiny")}


def test_killed_run_ends_as_crashed_and_frees_its_place(place: Place, config: str, finished: Any) -> None:
    """SIGKILL for worker and flow: no sign of life, so the run is set to Crashed, and the next one can start."""
    lock = FileLock(place.home / "locks" / "run-tiny.lock")
    if not (place.home / "tables").exists():  # this test alone
        shutil.copytree(finished.home / "tables", place.home / "tables")
    shorten_patience(place)
    with place.worker() as process:
        with lock:  # the training waits for it, alive
            run = place.start("training")
            until(lambda: beats(place, run))
            kill_tree(process)
            assert place.state(run) == "RUNNING"
        assert place.wait(run) == "CRASHED"
        place.deploy(config)  # with the usual patience
    with place.worker():
        again = place.start("training")
        assert place.wait(again) == "COMPLETED"


def beats(place: Place, run: str) -> bool:
    """Whether the server has heard a sign of life of the run."""
    wanted = {"event": {"name": ["prefect.flow-run.heartbeat"]}, "resource": {"id": [f"prefect.flow-run.{run}"]}}
    return bool(place.api("POST", "/events/filter", {"filter": wanted})["events"])


def shorten_patience(place: Place) -> None:
    """Half a minute without a sign of life is enough."""
    with temporary_settings({PREFECT_API_URL: place.environment["PREFECT_API_URL"]}), get_client(sync_client=True) as c:
        rule = zombies(timedelta(seconds=30))
        [there] = c.read_automations_by_name(rule.name)
        c.update_automation(there.id, rule)
