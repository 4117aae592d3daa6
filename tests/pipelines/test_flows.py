"""The flows: with and without a Prefect server the same results, and a repetition that changes nothing."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from forecasting.batch.vintages import forecast
from forecasting.config.job import Job, load_job
from forecasting.lifecycle.home import open_home
from forecasting.registry.client import connect
from forecasting.registry.registry import Registry
from forecasting.runtime.provenance import run_key
from forecasting.storage.snapshot import take
from forecasting.storage.store import Store
from pipelines import tasks
from pipelines.ingest import ingest
from pipelines.training import training

TRACKED = """
import asyncio, json, os, sys
from prefect.testing.utilities import prefect_test_harness
from prefect import get_client
from forecasting.config.job import load_job
from forecasting.registry.registry import Registry
from pipelines.ingest import ingest
from pipelines.training import training
from pipelines.batch import batch
from forecasting.lifecycle.home import open_home

async def runs():
    async with get_client() as client:
        flows = {run.id: run for run in await client.read_flow_runs()}
        done = await client.read_task_runs(limit=200)
    names = {key: run.name for key, run in flows.items()}
    return {
        "flows": sorted((json.dumps(sorted(run.parameters)), run.state_name) for run in flows.values()),
        "tasks": [(task.name.rsplit("-", 1)[0], task.state_name) for task in done],
    }

if __name__ == "__main__":
    job = load_job(sys.argv[1])
    with prefect_test_harness(server_startup_timeout=120):
        merged = ingest(job)
        outcome = training(job)
        vintage = batch(job)
        found = asyncio.run(runs())
    print(json.dumps({
        "merged": merged.__dict__, "outcome": outcome.model_dump(), "written": vintage.written,
        "rows": len(vintage.table), **found, "heavy": sorted({"tensorflow", "keras"} & set(sys.modules)),
    }))
"""


@pytest.fixture
def place(finished: Any, home: Path) -> Any:
    """A copy of the finished home as the home of this test."""
    shutil.copytree(finished.home, home)
    return open_home()


def judged(outcome: dict[str, Any]) -> Any:
    """What must be the same in every home: all but the run's id, its paths and how long a forecast took."""
    rules = [rule for rule in outcome["verdict"] if rule["rule"] != "latency"]
    rest = ("name", "version", "model", "promoted", "fallback", "champion", "leaderboard")
    return rules, {key: outcome[key] for key in rest}, {k: v for k, v in outcome["forecasts"].items() if k != "table"}


def kept(store: Store) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The stored observations and forecasts, but for when they were made."""
    return store.observations.read("tiny"), store.forecasts.read("tiny").drop(columns="created")


@pytest.mark.timeout(600)
def test_tracked_flows_give_what_untracked_ones_give(finished: Any, tmp_path: Path) -> None:
    """Under a Prefect server every step is a named task that completed, and every table and figure is the same."""
    (tmp_path / "tracked.py").write_text(TRACKED, encoding="utf-8")
    environment = {**os.environ, "PREFECT_HOME": str(tmp_path / "prefect"), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(tmp_path / "tracked.py"), str(finished.config)]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])

    assert judged(found["outcome"]) == judged(finished.outcome)
    for one, other in zip(kept(Store(open_home().workspace.home)), kept(Store(finished.home)), strict=True):
        pd.testing.assert_frame_equal(one, other)
    assert found["merged"] == {"version": 0, "inserted": 900, "updated": 0, "notes": []}
    assert (found["rows"], found["written"]) == (12, 0)  # the training flow has stored this vintage already
    assert [state for _, state in found["flows"]] == ["Completed"] * 3
    assert {state for _, state in found["tasks"]} == {"Completed"}
    assert sorted(name for name, _ in found["tasks"]) == sorted(
        [
            "reading the source",
            "checking every row",
            "cleaning",
            "storing the observations",
            "judging the new readings",
            "loading the data of this run",
            "compacting the stored tables",
            "opening the run",
            "choosing the first weights",
            "training the network",
            "fitting the baselines",
            "backtesting all models on the same cutoffs, judging, registering",
            "forecasting with the live model",
            "forecasting with the live model, if there is one",
            "writing the report, closing the run",
        ]
    )
    assert found["heavy"] == []


def census(registry: Registry, store: Store) -> dict[str, Any]:
    """How much of everything there is."""
    with connect(registry.versions.tracking_uri) as client:
        runs = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    return {
        "runs": [(run.info.run_id, run.info.status) for run in runs],
        "versions": registry.versions.table("tiny")[["version", "aliases", "run_id"]].to_dict("records"),
        "data": store.observations.version("tiny"),
        "forecasts": len(store.forecasts.read("tiny")),
    }


def test_finished_run_leaves_no_working_folder(finished: Any, place: Any) -> None:
    """Nights of retraining fill no disk: what a run needed to go on after a kill goes when it has ended."""
    job = load_job(finished.config)
    key = run_key(job.result_content, take(place.store, job).fingerprint)
    assert not place.workspace.run(job.name, key).exists()


def test_gradients_of_a_training_are_curves_in_mlflow(place: Any, finished: Any) -> None:
    """A point for each check, in order: the figures of curves.csv, which the training has written."""
    run_id = finished.outcome["run_id"]
    curves = pd.read_csv(io.StringIO(place.registry.runs.read_text(run_id, "curves.csv")))
    last = curves[curves["fold"] == curves["fold"].max()].dropna(subset=["gradient_norm"])
    with connect(place.registry.runs.tracking_uri) as client:
        for name in ("gradient_norm", "clipped"):
            points = sorted(client.get_metric_history(run_id, name), key=lambda point: point.step)
            assert [point.step for point in points] == list(range(1, len(last) + 1))
            assert [point.value for point in points] == pytest.approx(last[name].tolist(), rel=1e-9)
    assert len(last) > 1
    assert (last["gradient_norm"] > 0).all()


def test_repeated_run_changes_nothing(finished: Any, place: Any) -> None:
    """The same content: no new data version, run, model version or forecast, and the same outcome."""
    before = census(place.registry, place.store)
    job = load_job(finished.config)

    merged = ingest.fn(job)
    outcome = training.fn(job)

    assert (merged.version, merged.inserted, merged.updated) == (0, 0, 0)
    assert outcome.model_dump() == finished.outcome
    assert census(place.registry, place.store) == before
    assert [status for _, status in before["runs"]] == ["FINISHED"]


def test_new_readings_are_another_run(finished: Any, place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One corrected reading is another data version and so another content address; the schedule is no part of it."""
    job = load_job(finished.config)
    first = tasks.open_run(job, tasks.take_snapshot(job))
    planned = Job.model_validate({**job.model_dump(), "schedule": {"training": "0 6 * * *"}})
    assert tasks.open_run(planned, tasks.take_snapshot(planned)) == first
    assert first.finished

    corrected = place.store.observations.read("tiny").tail(1).assign(y=7.0)
    assert place.store.observations.merge("tiny", corrected).updated == 1
    other = tasks.open_run(job, tasks.take_snapshot(job))

    assert not other.finished
    assert other.run_id != first.run_id


def test_results_lie_where_the_outcome_says(finished: Any, place: Any) -> None:
    """Report, tables and curves are files, and the same files are in the run."""
    outcome = finished.outcome
    assert Path(outcome["report"]).read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (Path(outcome["forecasts"]["table"]) / "_delta_log").is_dir()
    run = outcome["run_id"]
    assert json.loads(place.registry.runs.read_text(run, "outcome.json")) == outcome
    verdict = json.loads(place.registry.runs.read_text(run, "verdict.json"))
    assert verdict["rules"] == outcome["verdict"]
    assert place.registry.runs.read_text(run, "report.html") == Path(outcome["report"]).read_text(encoding="utf-8")
    board = place.registry.runs.read_text(run, "by_model.csv").splitlines()
    assert [line.split(",")[0] for line in board] == ["model", *(row["model"] for row in outcome["leaderboard"])]
    assert len(place.registry.runs.read_text(run, "curves.csv").splitlines()) == 1 + 2
    with connect(place.registry.versions.tracking_uri) as client:
        data = client.get_run(run).data
    assert data.params["window.horizon"] == "4"
    assert data.metrics["wql"] == pytest.approx(outcome["leaderboard"][0]["wql"])
    assert data.metrics["naive.wql"] == pytest.approx(
        next(row["wql"] for row in outcome["leaderboard"] if row["model"] == "naive")
    )
    assert data.tags["gatecast.verdict"] == "refused"


def test_batch_of_the_same_data_writes_no_row_twice(finished: Any, place: Any) -> None:
    """The vintage that the run has stored is not stored again; new readings are another vintage."""
    job = load_job(finished.config)
    rows = len(place.store.forecasts.read("tiny"))
    again = forecast(place.store, place.registry, job)
    assert (again.written, len(again.table), rows) == (0, 12, 12)

    stored = place.store.observations.read("tiny")
    newer = stored.groupby("unique_id").tail(1).assign(ds=lambda t: t["ds"] + pd.Timedelta(hours=1))
    place.store.observations.merge("tiny", newer)
    later = forecast(place.store, place.registry, job)
    everything = place.store.forecasts.read("tiny")

    assert later.written == 12
    assert later.table["cutoff"].unique().tolist() == [newer["ds"].max()]
    assert not everything.duplicated(["unique_id", "ds", "cutoff", "version"]).any()
    assert len(everything) == 24
