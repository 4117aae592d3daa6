"""The whole stack, without an engine: every service from docker-compose.yml, and the loop from end to end."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from tests.stack.conftest import Running

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

HOURS = 24 * 20
RUNS = "/api/2.0/mlflow/experiments/search?max_results=1"


def write_readings(running: Running, hours: int) -> pd.DataFrame:
    """The source of the job: two series with a daily wave, up to an hour."""
    draw = np.random.default_rng(1)
    wave = 10 + np.sin(2 * np.pi * np.arange(1000) / 24) + draw.normal(0, 0.1, (2, 1000))
    stamps = pd.date_range("2026-01-01", periods=1000, freq="h")
    table = pd.concat(
        pd.DataFrame({"unique_id": name, "ds": stamps, "y": y})[:hours] for name, y in zip("ab", wave, strict=True)
    )
    table.to_csv(running.place / "data" / "tiny.csv", index=False)
    return table


def flow(running: Running, name: str) -> None:
    """Run a deployment on the worker; raises where it does not end as Completed."""
    with running.prefect() as prefect:
        deployment = prefect.get(f"/deployments/name/{name}/tiny").json()["id"]
        run = prefect.post(f"/deployments/{deployment}/create_flow_run", json={}).raise_for_status().json()["id"]
        deadline, state = time.monotonic() + 250, "SCHEDULED"
        while state not in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
            assert time.monotonic() < deadline, f"{name} is still {state}: {running.stack.boxes['worker'].tail()}"
            time.sleep(0.5)
            state = prefect.get(f"/flow_runs/{run}").json()["state_type"]
    assert state == "COMPLETED", running.stack.boxes["worker"].tail()


def told(running: Running) -> set[str]:
    """What the flows of the job have left for people on Prefect's page."""
    with running.prefect() as prefect:
        return {found["key"] for found in prefect.post("/artifacts/latest/filter", json={}).json()}


def versions(running: Running) -> dict[int, list[str]]:
    """The registered versions of the job, each with its aliases."""
    rows = running.call("/v1/models/tiny/versions").json()["versions"]
    return {int(row["version"]): row["aliases"] for row in rows}


def champion(running: Running) -> int:
    """The version that is live in the registry."""
    return next(version for version, aliases in versions(running).items() if "champion" in aliases)


def forecast(running: Running) -> dict[str, Any]:
    """What the service forecasts of some readings; it has a moment to notice that another version is live."""
    columns = {"unique_id": ["a"] * 2, "ds": ["2026-03-01T00:00:00", "2026-03-01T01:00:00"], "y": [10.0, 10.3]}
    ordered = running.call("/v1/models/tiny/reload", json={})
    patience = 1 if ordered.status_code == 200 else 60  # an order that takes long is answered 202 or 503, and goes on
    for _ in range(patience):
        answer = running.call("/v1/forecast", json={"name": "tiny", "columns": columns})
        if answer.status_code not in (404, 503):
            break
        time.sleep(1)
    assert answer.status_code == 200, f"{ordered.text} {answer.text}"
    return dict(answer.json())


def stored(running: Running) -> int:
    """How many vintages the service shows."""
    return int(running.call("/v1/vintages?name=tiny&since=2026-01-01").json()["total"])


def test_doors_are_locked(running: Running) -> None:
    """No server answers without credentials, MLflow to no other host name than its own, and one cannot guess."""
    account = ("gatecast", running.secret("mlflow_admin_password"))
    named = {"Host": "mlflow:5000"}
    asked = [
        httpx.get(f"http://127.0.0.1:5000{RUNS}", headers=named),
        httpx.get(f"http://127.0.0.1:5000{RUNS}", headers=named, auth=("gatecast", "gatecast")),
        httpx.get(f"http://127.0.0.1:5000{RUNS}", headers={"Host": "evil.example"}, auth=account),
        httpx.get(f"http://127.0.0.1:5000{RUNS}", headers=named, auth=account),
        httpx.get("http://127.0.0.1:4200/api/flows/count"),
        httpx.get("http://127.0.0.1:8000/v1/models"),
    ]
    assert [answer.status_code for answer in asked] == [401, 401, 403, 200, 401, 401]


@pytest.mark.parametrize("name", ["api", "worker", "mlflow", "prefect-server", "postgres"])
def test_service_has_no_rights(running: Running, name: str) -> None:
    """It is not root, has no capabilities, cannot gain any, and can write neither programs nor settings."""
    box = running.stack.boxes[name]
    status = dict(
        line.split(":\t") for line in Path(f"/proc/{box.pid}/status").read_text().splitlines() if ":\t" in line
    )
    assert status["Uid"].split()[0] not in {"0", str(os.getuid())}
    assert {int(status[key], 16) for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"
    assert box.exec(["sh", "-c", "touch /usr/x || touch /etc/x || touch /x"]).returncode != 0
    assert box.exec(["sh", "-c", "touch /tmp/x"]).returncode == 0


def test_loop_runs_from_source_to_rollback(running: Running) -> None:
    """Deployed flows bring readings, train, register and forecast; the service follows promotion and rollback."""
    write_readings(running, HOURS)
    flow(running, "ingest")
    flow(running, "training")
    assert forecast(running)["model"]["version"] == champion(running)
    assert stored(running) == 2

    write_readings(running, HOURS + 6)
    flow(running, "ingest")
    flow(running, "batch")
    flow(running, "monitor")
    assert stored(running) == 4
    shown = ("validation", "leaderboard", "verdict", "forecasts", "monitor")
    assert {f"tiny-{name}" for name in shown} <= told(running)

    live = champion(running)
    rival = next(version for version in versions(running) if version != live)
    force = '--force --why "to see it answer"'  # the gate has refused it
    running.run(f"docker compose run --rm --no-deps worker gatecast promote tiny {rival} {force}")
    assert forecast(running)["model"]["version"] == rival
    told_back = running.run("docker compose run --rm --no-deps worker gatecast rollback tiny")
    assert told_back == f"tiny: version {live} is the champion\n"
    assert forecast(running)["model"]["version"] == live


def test_the_service_may_read_the_registry_and_the_worker_write_it(running: Running) -> None:
    """Each account does what it must; the service has no right to delete, tag, alias, add, or promote a version."""
    source = running.mlflow("worker", "model-versions/get?name=tiny&version=1", "GET").json()["model_version"]
    version = {"name": "tiny", "version": "1"}
    written = {"name": "tiny", "source": source["source"], "run_id": source["run_id"]}
    orders = [
        ("DELETE", "model-versions/delete", version),
        ("POST", "model-versions/set-tag", {**version, "key": "x", "value": "y"}),
        ("POST", "registered-models/alias", {**version, "alias": "champion"}),
        ("POST", "model-versions/create", written),
        ("DELETE", "registered-models/delete", {"name": "tiny"}),
        ("POST", "runs/set-tag", {"run_id": source["run_id"], "key": "x", "value": "y"}),
        ("DELETE", "users/delete", {"username": "gatecast-worker"}),
    ]
    refused = [running.mlflow("api", path, method, **content).status_code for method, path, content in orders]
    assert refused == [403] * len(orders)

    told = running.call("/v1/models/tiny/promote", json={"version": 1, "force": True, "why": "to see it refused"})
    assert (told.status_code, told.json()["error"]["code"]) == (403, "read_only_registry")

    made = running.mlflow("worker", "model-versions/create", **written).json()["model_version"]["version"]
    assert running.mlflow("worker", "model-versions/set-tag", name="tiny", version=made, key="x", value="y").is_success
    assert running.mlflow("worker", "model-versions/delete", "DELETE", name="tiny", version=made).is_success
    assert running.mlflow("worker", "users/delete", "DELETE", username="gatecast-api").status_code == 403


def test_the_service_writes_into_its_cache_alone(running: Running) -> None:
    """The tables are there to be read; downloads and notes have a volume of their own."""
    api = running.stack.boxes["api"]
    assert api.exec(["ls", "/home/gatecast/tables/tiny"]).returncode == 0
    assert api.exec(["touch", "/home/gatecast/tables/tiny/x"]).returncode != 0
    assert api.exec(["touch", "/cache/x"]).returncode == 0


@pytest.mark.parametrize(
    ("name", "known", "unknown"),
    [
        ("api", ["mlflow"], ["postgres", "prefect", "prefect-server"]),
        ("worker", ["mlflow", "prefect"], ["postgres", "s3"]),
        ("prefect-server", ["postgres"], ["mlflow", "api"]),
        ("mlflow", ["postgres"], ["prefect"]),
    ],
)
def test_services_know_those_whom_they_need(running: Running, name: str, known: list[str], unknown: list[str]) -> None:
    """Only the names of its own networks resolve in a service."""
    box = running.stack.boxes[name]
    assert [other for other in known if box.exec(["getent", "hosts", other]).returncode] == []
    assert [other for other in unknown if not box.exec(["getent", "hosts", other]).returncode] == []


def test_secrets_come_in_files(running: Running) -> None:
    """No secret stands in the environment that the engine keeps and shows of a container."""
    shown = {name: str(box.service.environment) for name, box in running.stack.boxes.items()}
    assert [name for name, text in shown.items() if any(secret in text for secret in running.secrets)] == []


def test_clock_has_the_runs_of_the_schedule(running: Running) -> None:
    """The line of the job's schedule puts runs on the calendar, on Sundays at three in the job's time zone."""
    with running.prefect() as prefect:
        deployment = prefect.get("/deployments/name/training/tiny").json()["id"]
        sought = {
            "deployments": {"id": {"any_": [deployment]}},
            "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
        }
        runs = prefect.post("/flow_runs/filter", json=sought).json()
    times = pd.DatetimeIndex(pd.to_datetime([run["expected_start_time"] for run in runs], utc=True)).tz_convert(
        "Europe/Berlin"
    )
    assert len(times) > 1
    assert set(times.strftime("%a %H:%M")) == {"Sun 03:00"}


def test_restart_of_prefect_ends_no_run(running: Running) -> None:
    """A run may renew its place with a server that did not give it: places are kept where a restart finds them."""
    with running.prefect() as prefect:
        prefect.post("/v2/concurrency_limits/", json={"name": "restart", "limit": 1}).raise_for_status()
        asked = {"names": ["restart"], "slots": 1}
        place = prefect.post("/v2/concurrency_limits/increment-with-lease", json=asked).raise_for_status().json()
    running.stack.stop("prefect-server")
    running.stack.up("prefect-server")
    with running.prefect() as prefect:
        renewed = prefect.post(f"/v2/concurrency_limits/leases/{place['lease_id']}/renew", json={"lease_duration": 300})
        assert renewed.status_code == 204, renewed.text
        taken = prefect.post("/v2/concurrency_limits/increment-with-lease", json=asked)
        assert taken.status_code == 423, taken.text  # it is still the only one


def test_backup_is_restored_onto_empty_volumes(running: Running) -> None:
    """The commands of docs/operate.md bring everything back; a flow that was done before it adds nothing after it."""
    kept = (versions(running), stored(running), forecast(running))
    running.follow("Backup")
    running.stack.stop()
    shutil.rmtree(running.place / "volumes")
    running.follow("Restore")
    flow(running, "batch")
    assert (versions(running), stored(running), forecast(running)) == kept


def test_no_secret_is_in_a_log(running: Running) -> None:
    """Whoever reads the logs of any service learns no password and no key."""
    logs = {name: box.logs.read_text(encoding="utf-8", errors="replace") for name, box in running.stack.boxes.items()}
    assert all(logs[name] for name in ("api", "mlflow", "worker", "postgres"))
    assert [name for name, text in logs.items() if any(secret in text for secret in running.secrets)] == []


def test_everything_stops_in_order(running: Running) -> None:
    """On its stop signal every service ends in its grace period, and nothing that it started stays."""
    codes = running.stack.stop()
    assert list(codes)[-1] == "postgres"
    assert {name: code for name, code in codes.items() if code not in (0, -15)} == {}
    assert left() == []


def left() -> list[str]:
    """Processes of this namespace besides this one and those that have ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state = (folder / "stat").read_text().rpartition(")")[2].split()
            ended, parent = state[0] == "Z", int(state[1])
            if not ended and int(folder.name) not in (os.getpid(), os.getppid()) and parent != os.getpid():
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found
