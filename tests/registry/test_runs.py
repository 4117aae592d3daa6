"""Runs against a real MLflow database: found by their content, ended, repeated, and what they keep."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forecasting.errors import RegistryError
from forecasting.registry.client import connect
from forecasting.registry.registry import Registry
from tests.registry.buoy import JOB


def test_finished_run_with_the_same_key_is_found_again(registry: Registry) -> None:
    """A content address that was computed once is not computed twice; another key is another run."""
    first = registry.runs.start(JOB, "aa", {"units": 64}, {"git": "abc"})
    registry.runs.finish(first.run_id)

    again, other = registry.runs.start(JOB, "aa", {"units": 64}), registry.runs.start(JOB, "bb", {})

    assert not first.finished
    assert again == (first.run_id, True)
    assert other.run_id != first.run_id
    assert not other.finished


@pytest.mark.parametrize("status", [None, "FAILED", "KILLED"])
def test_interrupted_run_is_resumed(registry: Registry, status: Any) -> None:
    """A run that was killed or failed keeps its id, its parameters, and runs again."""
    first = registry.runs.start(JOB, "aa", {"units": 64})
    if status:
        registry.runs.finish(first.run_id, status)

    again = registry.runs.start(JOB, "aa", {"units": 64})

    with connect(registry.versions.tracking_uri) as client:
        run = client.get_run(first.run_id)
    assert again == (first.run_id, False)
    assert run.info.status == "RUNNING"
    assert run.data.params == {"units": "64"}


def test_run_that_nobody_ended_is_killed_by_the_next_one(registry: Registry) -> None:
    """One run of the job is under way, those that were killed say so, finished ones stay finished."""
    finished, killed, running = (registry.runs.start(JOB, key, {}).run_id for key in ("aa", "bb", "cc"))
    registry.runs.finish(finished)
    registry.runs.start(JOB, "cc", {})
    with connect(registry.versions.tracking_uri) as client:
        states = [client.get_run(run).info.status for run in (finished, killed, running)]
    assert states == ["FINISHED", "KILLED", "RUNNING"]
    assert registry.runs.start(JOB, "bb", {}) == (killed, False)


def test_metrics_logged_twice_are_kept_once(registry: Registry) -> None:
    """Curves have one value per step, from 1 on, however often they are logged; 1,500 points fit."""
    run = registry.runs.start(JOB, "aa", {})
    curve = [1 / step for step in range(1, 1501)]
    for _ in range(2):
        registry.runs.log_metrics(run.run_id, {"loss": curve, "wql": 0.25, "broken": float("nan")})

    with connect(registry.versions.tracking_uri) as client:
        history = client.get_metric_history(run.run_id, "loss")
        metrics = client.get_run(run.run_id).data.metrics
    assert sorted((point.step, point.value) for point in history) == list(enumerate(curve, 1))
    assert metrics["wql"] == 0.25
    assert np.isnan(metrics["broken"])


def test_files_and_tags_are_kept_with_the_run(registry: Registry, tmp_path: Path) -> None:
    """What is logged can be read back, from files under the artifacts directory of the job."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.html").write_text("<p>é</p>", encoding="utf-8")
    run = registry.runs.start(JOB, "aa", {})
    registry.runs.log_artifacts(run.run_id, tmp_path / "out", "report")
    registry.runs.set_tags(run.run_id, {"verdict": "passed"})

    assert registry.runs.read_text(run.run_id, "report/report.html") == "<p>é</p>"
    assert (tmp_path / "artifacts" / JOB / run.run_id / "artifacts" / "report" / "report.html").is_file()
    with connect(registry.versions.tracking_uri) as client:
        assert client.get_run(run.run_id).data.tags["verdict"] == "passed"
    with pytest.raises(RegistryError, match="failed"):
        registry.runs.read_text(run.run_id, "nothing.json")


def test_deleted_experiment_is_refused_with_the_remedy(registry: Registry) -> None:
    """MLflow keeps deleted experiments and their names; the message says how to bring one back."""
    registry.runs.start(JOB, "aa", {})
    with connect(registry.versions.tracking_uri) as client:
        client.delete_experiment("1")

    with pytest.raises(RegistryError, match=r"the experiment buoy was deleted; .* --experiment-id 1"):
        registry.runs.start(JOB, "bb", {})


def test_candidates_of_a_search_are_runs_under_the_run(registry: Registry) -> None:
    """One for each row, made once however often it is asked for; one that was being made at a kill is made anew."""
    run = registry.runs.start(JOB, "aa", {}).run_id
    rows = [
        {"model": "ridge", "settings": "ridge", "wql": 0.1, "steps": 0},
        {"model": "segrnn", "wql": 0.2, "steps": 9, "gradient_norm": None},
    ]
    registry.runs.nest(run, rows[:1])
    with connect(registry.versions.tracking_uri) as client:
        experiment = client.get_run(run).info.experiment_id
        client.create_run(experiment, tags={"mlflow.parentRunId": run}, run_name="02")
    registry.runs.nest(run, rows)
    registry.runs.nest(run, rows)

    with connect(registry.versions.tracking_uri) as client:
        found = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run}'")
    by_name = {one.info.run_name: one for one in found}
    assert sorted(by_name) == ["01 ridge", "02"]
    assert len(found) == 2
    assert by_name["01 ridge"].data.params == {"model": "ridge", "settings": "ridge"}
    assert by_name["02"].data.metrics == {"wql": 0.2, "steps": 9.0}
    assert by_name["02"].data.params == {"model": "segrnn"}
    assert {one.info.status for one in found} == {"FINISHED"}
