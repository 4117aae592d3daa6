"""The table of deployments: which flow of a job runs when, and which event triggers what."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect import Flow
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.schedules import CronSchedule
from prefect.events.actions import ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from forecasting.config.job import Job
from forecasting.runtime.events import OBSERVATIONS, resource
from pipelines.batch import batch
from pipelines.ingest import ingest
from pipelines.monitor import monitor
from pipelines.notices import RETRAIN
from pipelines.training import training

__all__ = ["FLOWS", "HEARTBEAT", "PATIENCE", "TAG", "automations", "cron", "flows_of", "schedules", "zombies"]

FLOWS: dict[str, Flow[..., Any]] = {"ingest": ingest, "training": training, "batch": batch, "monitor": monitor}

TAG = "gatecast"  # of every deployment, flow run and automation made here
HEARTBEAT = 60  # seconds between two heartbeats of a flow run
PATIENCE = timedelta(minutes=10)  # without a heartbeat; runs of the command line send one every 3 minutes

_FOLLOWERS = ("batch", "monitor")  # of new readings, if they have no line of their own
_ENDS = ("Completed", "Failed", "TimedOut", "Cancelled", "Crashed")


def flows_of(job: Job) -> tuple[str, ...]:
    """The flows of a job; forecasts of symbols are not monitored."""
    return tuple(name for name in FLOWS if not (job.symbolic and name == "monitor"))


def cron(job: Job, flow: str) -> str | None:
    """The line of a flow in the job's schedule."""
    line: str | None = getattr(job.schedule, flow) if job.schedule else None
    return line


def schedules(job: Job, flow: str) -> list[DeploymentScheduleCreate]:
    """The cron schedule of the flow, in the job's time zone."""
    line, zone = cron(job, flow), job.schedule.time_zone if job.schedule else "UTC"
    return [DeploymentScheduleCreate(schedule=CronSchedule(cron=line, timezone=zone))] if line else []


def automations(job: Job, deployments: Mapping[str, UUID]) -> list[AutomationCore]:
    """The automations of a job with a schedule: for new readings, and for a model that needs retraining."""
    if job.schedule is None:
        return []
    followers = [name for name in _FOLLOWERS if name in deployments and cron(job, name) is None]
    rules = [
        (f"{TAG}: {job.name}: new readings", OBSERVATIONS, followers),
        (f"{TAG}: {job.name}: retrain", RETRAIN, ["training"]),
    ]
    return [
        AutomationCore(
            name=name,
            description=f"{event} of {job.name} starts {' and '.join(flows)}",
            tags=[TAG, job.name],
            trigger=EventTrigger(expect={event}, match=resource(job.name), posture=Posture.Reactive),
            actions=[RunDeployment(deployment_id=deployments[flow]) for flow in flows],
        )
        for name, event, flows in rules
        if flows
    ]


def zombies(patience: timedelta = PATIENCE) -> AutomationCore:
    """Set a flow run to Crashed after this long without a heartbeat: a killed process tells nobody.

    That begins when a worker takes the run (Pending): it may be killed before the flow sends any.
    """
    sign = "prefect.flow-run.heartbeat"
    return AutomationCore(
        name=f"{TAG}: crash zombie flow runs",
        description=f"A run that gives no sign of life for {patience.total_seconds():g} s has crashed.",
        tags=[TAG],
        trigger=EventTrigger(
            after={"prefect.flow-run.Pending", sign},
            expect={sign, *(f"prefect.flow-run.{end}" for end in _ENDS)},
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related={"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{TAG}"},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            within=patience,
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message="no sign of life: its process was killed")],
    )
