"""The table of deployments: which flow of a job runs when, and what follows from which event."""

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
from pipelines.batch import batch
from pipelines.ingest import ingest
from pipelines.monitor import monitor
from pipelines.notices import OBSERVATIONS, RETRAIN, resource
from pipelines.training import training

__all__ = ["FLOWS", "HEARTBEAT", "PATIENCE", "TAG", "automations", "cron", "flows_of", "schedules", "zombies"]

FLOWS: dict[str, Flow[..., Any]] = {"ingest": ingest, "training": training, "batch": batch, "monitor": monitor}

TAG = "gatecast"  # of every deployment, flow run and automation made here
HEARTBEAT = 60  # seconds between two signs of life of a flow run
PATIENCE = timedelta(minutes=10)  # without a sign of life; runs of the command line give one in 3 minutes

_FOLLOWERS = ("batch", "monitor")  # of new readings, where they have no line of their own
_ENDS = ("Completed", "Failed", "TimedOut", "Cancelled", "Crashed")


def flows_of(job: Job) -> tuple[str, ...]:
    """The flows that a job has; forecasts of symbols are not watched."""
    return tuple(name for name in FLOWS if not (job.symbolic and name == "monitor"))


def cron(job: Job, flow: str) -> str | None:
    """The line of a flow in the job's schedule."""
    line: str | None = getattr(job.schedule, flow) if job.schedule else None
    return line


def schedules(job: Job, flow: str) -> list[DeploymentScheduleCreate]:
    """When the flow runs by the clock, in the job's time zone."""
    line, zone = cron(job, flow), job.schedule.time_zone if job.schedule else "UTC"
    return [DeploymentScheduleCreate(schedule=CronSchedule(cron=line, timezone=zone))] if line else []


def automations(job: Job, deployments: Mapping[str, UUID]) -> list[AutomationCore]:
    """What follows from the events of a job that has a schedule: of new readings, and of a model that has aged."""
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
    """A flow run whose process was killed tells nobody: without signs of life for so long, it is set to Crashed.

    That begins when a worker takes the run (Pending): it may be killed before the flow could give any sign.
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
