"""What a night of all jobs takes, by the measured costs of their flows: machines, memory, disk, services."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np

from benchmarks.scale.costs import Line
from benchmarks.scale.night import Fleet, Night, Run, live_through

__all__ = ["Plan", "cost", "disk", "fewest", "memory", "runs", "services", "summary", "told"]

HORIZON: Final = 24
DAY: Final = 24  # readings of an hourly series
TASKS: Final = {"ingest": 4, "batch": 2, "monitor": 2, "training": 10}  # task runs of a flow run, see pipelines/


class Plan(NamedTuple):
    """What is assumed."""

    series: int = 10_000_000
    jobs: int = 5_000  # as many models, registry entries and pairs of tables
    history: int = 90  # days of readings that a job keeps and trains on
    arriving: float = 3600.0  # seconds within which the readings of all jobs come, evenly
    window: float = 6 * 3600.0  # until everything must be done
    places: int = 16  # runs at a time on a machine, one core each
    failing: float = 0.01  # attempts that die

    @property
    def each(self) -> float:
        """Series of a job."""
        return self.series / self.jobs


def told(plan: Plan, costs: dict[str, Any]) -> dict[str, Any]:
    """Everything that is said in docs/scale.md."""
    seconds = {flow: cost(plan, costs, flow, "seconds") for flow in TASKS}
    made = runs(plan, seconds)
    least = fewest(plan, made)
    fleets = {f"{number} machines": Fleet(number, plan.places, plan.failing) for number in (least, 2 * least)}
    fleets |= {
        "none fails": Fleet(least, plan.places),
        "one machine more, one lost after an hour": Fleet(least + 1, plan.places, plan.failing, lost_at=3600.0),
    }
    return {
        "plan": plan._asdict(),
        "seconds_of_a_run": {flow: round(value, 1) for flow, value in seconds.items()},
        "core_hours_a_night": round(sum(_length(run) for run in made) / 3600, 1),
        "machines": least,
        "nights": {name: summary(live_through(made, fleet), fleet) for name, fleet in fleets.items()},
        "memory": memory(plan, costs),
        "disk": disk(plan, costs),
        "services": services(plan),
    }


def cost(plan: Plan, costs: dict[str, Any], flow: str, kind: str) -> float:
    """Seconds or megabytes of one run of a flow of an average job; training grows with the history."""
    fixed, each = Line(**costs[flow][kind])
    return Line(fixed, each * (plan.history * DAY / costs["history"] if flow == "training" else 1)).at(plan.each)


def runs(plan: Plan, seconds: dict[str, float]) -> list[Run]:
    """Of every job: ingest, then batch and monitor; training on one night of the week, after the ingest."""
    draw = np.random.default_rng(0)
    after = (Run("batch", 0.0, seconds["batch"]), Run("monitor", 0.0, seconds["monitor"]))
    trained = (*after, Run("training", 0.0, seconds["training"]))
    return [
        Run("ingest", float(draw.uniform(0, plan.arriving)), seconds["ingest"], after if number % 7 else trained)
        for number in range(plan.jobs)
    ]


def fewest(plan: Plan, made: list[Run]) -> int:
    """The machines that are enough for everything to be done in time."""
    work = sum(_length(run) for run in made)
    machines = max(1, math.floor(work / plan.window / plan.places))
    while live_through(made, Fleet(machines, plan.places, plan.failing)).end > plan.window:
        machines += 1
    return machines


def _length(run: Run) -> float:
    return run.seconds + sum(_length(following) for following in run.then)


def summary(found: Night, fleet: Fleet) -> dict[str, Any]:
    """How a night went."""
    whole = fleet.machines * fleet.places * found.end
    return {
        "done_after_hours": round(found.end / 3600, 2),
        "flows_done_after_hours": {flow: round(end / 3600, 2) for flow, end in found.ends.items()},
        "attempts": found.attempts,
        "failed": found.failed,
        "places_taken": round(found.busy / whole, 2),
        "longest_wait_minutes": round(found.longest_wait / 60, 1),
    }


def memory(plan: Plan, costs: dict[str, Any]) -> dict[str, float]:
    """Gigabytes of one run of each flow, and of a machine where every place makes the largest."""
    each = {flow: cost(plan, costs, flow, "peak_mb") / 1000 for flow in TASKS}
    return {flow: round(value, 2) for flow, value in each.items()} | {
        "machine": round(plan.places * max(each.values()), 1)
    }


def disk(plan: Plan, costs: dict[str, Any]) -> dict[str, float]:
    """Gigabytes that come every day and that a year leaves, where nothing is deleted."""
    size = costs["bytes"]
    day = {
        "readings": size["reading"] * plan.series * DAY / 1e9,
        "forecasts": size["forecast"] * plan.series * HORIZON / 1e9,
        "trainings": size["training"] * plan.jobs / 7 / 1e9,
    }
    return {f"{name}_a_day": round(value, 2) for name, value in day.items()} | {
        "readings_of_the_history": round(day["readings"] * plan.history, 1),
        "a_year": round(365 * sum(day.values()), 0),
    }


def services(plan: Plan) -> dict[str, float]:
    """What MLflow and Prefect must keep up with."""
    flows = {"ingest": plan.jobs, "batch": plan.jobs, "monitor": plan.jobs, "training": plan.jobs / 7}
    tasks = sum(count * TASKS[flow] for flow, count in flows.items())
    return {
        "mlflow_runs_a_day": round(flows["training"]),
        "registered_models": plan.jobs,
        "prefect_deployments": 4 * plan.jobs,
        "prefect_flow_runs_a_day": round(sum(flows.values())),
        "prefect_task_runs_a_day": round(tasks),
        "prefect_task_runs_a_second": round(tasks / plan.window, 2),
    }
