"""The figures of ten million series follow from the costs as one would work them out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.scale.night import Fleet, live_through
from benchmarks.scale.plan import Plan, cost, disk, fewest, runs, services

LINE = {"fixed": 10.0, "each": 0.01}
COSTS: dict[str, Any] = {
    "history": 720,
    "bytes": {"reading": 2.0, "forecast": 5.0, "training": 7e6},
    **{flow: {"seconds": LINE, "peak_mb": LINE} for flow in ("ingest", "batch", "monitor", "training")},
}
PLAN = Plan(series=700_000, jobs=700, history=90, failing=0.0)


def test_training_grows_with_the_history_and_the_rest_does_not() -> None:
    """Three times the measured history, three times what each series adds."""
    assert cost(PLAN, COSTS, "batch", "seconds") == pytest.approx(10 + 0.01 * 1000)
    assert cost(PLAN, COSTS, "training", "seconds") == pytest.approx(10 + 0.03 * 1000)


def test_a_seventh_of_the_jobs_is_trained_each_night() -> None:
    """All jobs are read, forecast and watched, and every training is once a week."""
    made = runs(PLAN, dict.fromkeys(("ingest", "batch", "monitor", "training"), 20.0))
    ends = [following.flow for run in made for following in run.then]
    assert len(made) == 700
    assert (ends.count("batch"), ends.count("monitor"), ends.count("training")) == (700, 700, 100)


def test_one_machine_fewer_would_be_late() -> None:
    """The number of machines is the least that is done in time."""
    made = runs(PLAN, dict.fromkeys(("ingest", "batch", "monitor", "training"), 600.0))
    enough = fewest(PLAN, made)
    assert live_through(made, Fleet(enough, PLAN.places)).end <= PLAN.window
    assert live_through(made, Fleet(enough - 1, PLAN.places)).end > PLAN.window


def test_disk_is_rows_times_bytes() -> None:
    """700,000 series with 24 readings and 24 forecasts a day, a hundred trainings of 7 MB."""
    told = disk(PLAN, COSTS)
    assert told["readings_a_day"] == pytest.approx(0.03, abs=0.005)
    assert told["forecasts_a_day"] == pytest.approx(0.08, abs=0.005)
    assert told["trainings_a_day"] == pytest.approx(0.7, abs=0.005)


def test_services_count_every_run() -> None:
    """A flow run of each kind for every job, and a training once a week."""
    told = services(PLAN)
    assert told["mlflow_runs_a_day"] == 100
    assert told["prefect_flow_runs_a_day"] == 2200
    assert told["prefect_task_runs_a_day"] == 700 * (4 + 2 + 2) + 100 * 10
