"""Runners: the same bytes from processes and from a cluster, also where something is killed on the way."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.batch import runners
from forecasting.batch.part_files import Part
from forecasting.batch.plan import Plan, PlannedModel, Request, plan
from forecasting.batch.runners import run_dask, run_local, runner
from forecasting.batch.worker import forecast_shard
from forecasting.bundle.artifact import open_bundle
from forecasting.errors import ConfigError

SHARDS = 6


@pytest.fixture
def planned(place: Any, make_table: Callable[..., pd.DataFrame], tmp_path: Path) -> Plan:
    """Sixty series in six shards."""
    draw = np.random.default_rng(1)
    table = make_table({f"s{number:02d}": draw.normal(size=50).cumsum() for number in range(60)})
    place.store.observations.merge("buoy", table)
    bundle = open_bundle(place.bundle)
    model = PlannedModel(bundle=place.bundle, name="ridge", version=1, weights=bundle.manifest.weights)
    return plan(tmp_path / "parts", place.store.observations.latest("buoy"), model, bundle.spec, Request(shards=SHARDS))


def content(parts: list[Part]) -> list[tuple[str, int, bytes]]:
    """What the parts hold, to the last byte."""
    return sorted((part.path.name, part.rows, part.path.read_bytes()) for part in parts)


def forget(planned: Plan) -> None:
    """All finished parts."""
    for path in planned.folder.glob("part-*"):
        path.unlink()


def test_processes_and_cluster_give_the_same_bytes(planned: Plan) -> None:
    """As does this process alone; finished parts are not made again by any of them."""
    here = content([forecast_shard(planned, number) for number in range(SHARDS)])
    assert [rows for _, rows, _ in here] == [40] * SHARDS
    made = {path: path.stat().st_mtime_ns for path in planned.folder.glob("*.parquet")}
    assert content(list(run_local(planned))) == here
    assert {path: path.stat().st_mtime_ns for path in made} == made
    for run in (run_local, run_dask):
        forget(planned)
        assert content(list(run(planned))) == here


def test_a_worker_killed_on_the_way_changes_nothing(planned: Plan) -> None:
    """Its shards go to the other worker of a cluster of two."""
    from distributed import Client, LocalCluster

    here = content([forecast_shard(planned, number) for number in range(SHARDS)])
    forget(planned)
    with LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        pids = list(client.run(os.getpid).values())

        def kill() -> None:
            while not list(planned.folder.glob("*.parquet")):
                time.sleep(0.005)
            os.kill(pids[0], signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        found = content(list(run_dask(planned, cluster.scheduler_address)))
        killer.join()
    assert found == here


def test_after_a_kill_finished_parts_are_kept_and_the_rest_is_made(planned: Plan) -> None:
    """SIGKILL of the process that started the others: these end too, and a second run ends like an undisturbed one."""
    here = content([forecast_shard(planned, number) for number in range(SHARDS)])
    forget(planned)
    told = "import sys; from forecasting.batch.plan import Plan; from forecasting.batch.runners import run_local;"
    told += "[None for _ in run_local(Plan.model_validate_json(open(sys.argv[1]).read()))]"
    process = subprocess.Popen([sys.executable, "-c", told, planned.folder / "plan.json"])
    while not list(planned.folder.glob("part-*.json")):
        time.sleep(0.01)
        assert process.poll() is None
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.wait()
    for pid in children:
        while (Path("/proc") / pid / "cmdline").exists() and (Path("/proc") / pid / "cmdline").read_bytes():
            time.sleep(0.01)
    kept = {path: path.stat().st_mtime_ns for path in planned.folder.glob("part-*.json")}
    (planned.folder / "part-00005.parquet").write_bytes(b"half of it")
    assert content(list(run_local(planned))) == here
    assert {path for path in kept if path.stat().st_mtime_ns != kept[path]} <= {planned.folder / "part-00005.json"}


class Sequential:
    """A client of a cluster that calls what it is given, at once."""

    def map(self, work: Callable[[int], Part], numbers: range, **_: Any) -> list[Part]:
        """The results, in the place of futures."""
        return [work(number) for number in numbers]

    def gather(self, results: list[Part]) -> list[Part]:
        """The results."""
        return results


@pytest.mark.parametrize(("scheme", "warned"), [("tcp", True), ("tls", False)])
def test_a_cluster_without_encryption_is_named(
    planned: Plan, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, scheme: str, *, warned: bool
) -> None:
    """One warning says what plain TCP allows to others, and what to write instead; TLS is silent."""
    monkeypatch.setattr(runners, "_client", lambda _: nullcontext(Sequential()))
    address = f"{scheme}://scheduler:8786"
    with caplog.at_level(logging.WARNING):
        assert len(list(run_dask(planned, address))) == SHARDS
    found = [record.getMessage() for record in caplog.records if address in record.getMessage()]
    assert len(found) == warned
    assert all("not encrypted" in text and "use tls://" in text for text in found)


def test_unknown_runner_is_refused() -> None:
    """With the names of those that there are."""
    with pytest.raises(ConfigError, match="unknown runner spark; choose one of local, dask"):
        runner("spark")
