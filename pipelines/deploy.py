"""Bring the table of deployments to a Prefect server, leaving unchanged ones alone."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from httpx import HTTPError
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.utilities.callables import parameter_schema
from prefect.workers.process import ProcessWorker

import forecasting
from forecasting.config.job import Job
from forecasting.errors import ConfigError, GatecastError
from pipelines.schedule import FLOWS, HEARTBEAT, TAG, automations, cron, flows_of, schedules, zombies

__all__ = ["Registered", "register"]

T = TypeVar("T")
_PAGE = 200


class Registered(NamedTuple):
    """One deployment: its schedule, and whether this call changed it."""

    name: str
    cron: str | None
    time_zone: str
    changed: bool


class _Plan(NamedTuple):
    """The wanted state of a deployment on the server."""

    job: Job
    flow: str
    schedules: list[DeploymentScheduleCreate]
    content: dict[str, Any]

    @property
    def version(self) -> str:
        """Another content, another version."""
        stamp = json.dumps([self.content, [each.model_dump(mode="json") for each in self.schedules]], sort_keys=True)
        return f"{forecasting.__version__}+{hashlib.sha256(stamp.encode()).hexdigest()[:12]}"


def register(jobs: Sequence[Job], pool: str, *, only: bool = False) -> list[Registered]:
    """Deploy these jobs, with their automations, for the workers of `pool`; with `only`, remove those of other jobs.

    A deployment is known by its content: an unchanged one keeps its schedule, its upcoming runs, and whatever a person
    has paused. Raises ConfigError if two jobs have one name, and GatecastError if the server does not answer.
    """
    names = Counter(job.name for job in jobs)
    if twice := sorted(name for name, count in names.items() if count > 1):
        raise ConfigError(f"more than one job is named {', '.join(twice)}; give each job its own name")
    plans = [_plan(job, flow, pool) for job in jobs for flow in flows_of(job)]
    try:
        with get_client(sync_client=True) as client:
            _make_pool(client, pool)
            done = [_deploy(client, plan) for plan in plans]
            ids: dict[str, dict[str, UUID]] = {name: {} for name in names}
            for plan, (found, _) in zip(plans, done, strict=True):
                ids[plan.job.name][plan.flow] = found
            if only:
                _remove_deployments(client, set(names))
            rules = [rule for job in jobs for rule in automations(job, ids[job.name])]
            _automate(client, [zombies(), *rules], None if only else set(names))
    except HTTPError as error:
        raise GatecastError(f"the Prefect server of PREFECT_API_URL failed: {error}") from error
    return [_told(plan, changed) for plan, (_, changed) in zip(plans, done, strict=True)]


def _told(plan: _Plan, changed: bool) -> Registered:
    zone = plan.job.schedule.time_zone if plan.job.schedule else "UTC"
    return Registered(f"{plan.flow}/{plan.job.name}", cron(plan.job, plan.flow), zone, changed)


def _plan(job: Job, name: str, pool: str) -> _Plan:
    flow, when = FLOWS[name], schedules(job, name)
    content: dict[str, Any] = {
        "description": flow.description,
        "entrypoint": f"{flow.__module__}.{flow.fn.__name__}",  # from the installed package: nothing is fetched
        "parameters": {"job": job.model_dump(mode="json", exclude_unset=True)},
        "parameter_openapi_schema": parameter_schema(flow).model_dump_for_openapi(),
        "enforce_parameter_schema": True,
        "work_pool_name": pool,
        "tags": [TAG, job.name],
        "concurrency_limit": 1,
        "job_variables": {
            "command": f"{sys.executable} -m prefect.engine",  # Prefect's own way starts two more processes
            "working_dir": str(Path.cwd()),  # relative paths mean the same to the worker as here
            "env": {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT)},
        },
    }
    return _Plan(job, name, when, content)


def _make_pool(client: SyncPrefectClient, name: str) -> None:
    template = ProcessWorker.get_default_base_job_template()
    with suppress(ObjectAlreadyExists):
        client.create_work_pool(WorkPoolCreate(name=name, type="process", base_job_template=template))


def _deploy(client: SyncPrefectClient, plan: _Plan) -> tuple[UUID, bool]:
    """The deployment's id, and whether it was written."""
    with suppress(ObjectNotFound):
        found = client.read_deployment_by_name(f"{plan.flow}/{plan.job.name}")
        if found.version == plan.version:
            return found.id, False
    options = ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
    flow = client.create_flow_from_name(plan.flow)
    made = client.create_deployment(
        flow,
        plan.job.name,
        version=plan.version,
        schedules=plan.schedules,
        concurrency_options=options,
        **plan.content,
    )
    return made, True


def _remove_deployments(client: SyncPrefectClient, kept: set[str]) -> None:
    ours = DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG]))
    there = _pages(lambda offset: client.read_deployments(deployment_filter=ours, limit=_PAGE, offset=offset))
    for found in there:
        if found.name not in kept:
            client.delete_deployment(found.id)


def _automate(client: SyncPrefectClient, wanted: Sequence[AutomationCore], jobs: set[str] | None) -> None:
    """Write only the differences; automations of ours that are no longer wanted go, for all jobs or for those named."""
    left = [each for each in _pages(lambda offset: _read_automations(client, offset)) if TAG in each.tags]
    for rule in wanted:
        there = next((each for each in left if each.name == rule.name), None)
        if there is None:
            client.create_automation(rule)
            continue
        left.remove(there)  # a second one of the same name, made by two calls at once, stays in the list and goes
        if _core(there) != _core(rule):
            client.update_automation(there.id, rule)
    for each in left:
        if jobs is None or jobs & set(each.tags) or each.name in {rule.name for rule in wanted}:
            client.delete_automation(each.id)


def _read_automations(client: SyncPrefectClient, offset: int) -> list[Automation]:
    answer = client.request("POST", "/automations/filter", json={"limit": _PAGE, "offset": offset})
    return Automation.model_validate_list(answer.raise_for_status().json())


def _pages(read: Callable[[int], list[T]]) -> list[T]:
    """Read all pages: the server limits the size of each."""
    found = read(0)
    while len(found) % _PAGE == 0 and (more := read(len(found))):
        found += more
    return found


def _core(rule: AutomationCore) -> dict[str, Any]:
    """The content of a rule, whether it is on the server or not; a person may have paused it.

    Not as JSON: equal sets of events may be written in another order.
    """
    return AutomationCore.model_validate(rule.model_dump()).model_dump(exclude={"enabled"})
