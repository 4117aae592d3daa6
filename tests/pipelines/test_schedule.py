"""The table of deployments, without a server: when flows run, what follows from what, what a person sees."""

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import jsonschema
import pytest
from prefect.server.schemas.schedules import CronSchedule
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.utilities.callables import parameter_schema

from forecasting.cli import operation as cli_loop
from forecasting.config.job import Job, load_job, parse_job
from forecasting.config.operation import Schedule
from forecasting.errors import ConfigError, GatecastError
from forecasting.registry.registry import Registry
from pipelines import batch, deploy, monitor, tasks
from pipelines.batch import _utc
from pipelines.schedule import FLOWS, HEARTBEAT, PATIENCE, automations, flows_of, schedules, zombies

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
BERLIN = ZoneInfo("Europe/Berlin")
LEFT_OUT = "01:30" if sys.version_info < (3, 13) else "03:30"  # instead of 02:30: Prefect counts with other libraries


def fired(schedule: CronSchedule, day: date) -> list[str]:
    """Local times of the runs on this day that a scheduler plans, which looks at the next three every seven minutes."""

    async def look() -> set[datetime]:
        step, found = timedelta(minutes=7), set()
        now = datetime.combine(day, time(), BERLIN).astimezone(UTC) - timedelta(hours=3)
        for tick in range(int(timedelta(hours=30) / step)):
            found |= set(await schedule.get_dates(3, now + tick * step))
        return found

    local = sorted(moment.astimezone(BERLIN) for moment in asyncio.run(look()))
    return [moment.isoformat()[11:16] for moment in local if moment.date() == day]


@pytest.fixture
def planned(make_job: Callable[..., Job]) -> Callable[..., Job]:
    """Builds a job with these lines in its schedule."""

    def build(**lines: str) -> Job:
        return make_job(schedule={"time_zone": "Europe/Berlin", **lines})

    return build


@pytest.mark.parametrize("flow", [batch.batch, monitor.monitor], ids=lambda flow: flow.name)
def test_a_scheduled_run_before_the_first_training_is_skipped(
    flow: Any, registry: Registry, make_job: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends well, in a state of its own with one sentence; by hand, or once something is live, nothing is skipped."""
    monkeypatch.setenv("GATECAST_HOME", str(tmp_path))
    run = SimpleNamespace(deployment_id=uuid4())
    monkeypatch.setattr(tasks.FlowRunContext, "get", lambda: SimpleNamespace(flow_run=run))
    job = make_job()
    state = flow.fn(job)
    assert (state.name, state.is_completed()) == ("Skipped", True)
    assert f"nothing is live for {job.name} yet" in state.message
    monkeypatch.setattr(type(registry.versions), "champion", lambda *_: object())
    assert tasks.skipped(job) is None
    monkeypatch.undo()
    assert tasks.skipped(job) is None


@pytest.mark.parametrize(
    ("line", "day", "times"),
    [
        pytest.param("15 6 * * *", date(2026, 3, 29), ["06:15"], id="morning, clocks go forward"),
        pytest.param("15 6 * * *", date(2026, 10, 25), ["06:15"], id="morning, clocks go back"),
        pytest.param("30 2 * * *", date(2026, 3, 29), [LEFT_OUT], id="an hour that is left out"),
        pytest.param("30 2 * * *", date(2026, 10, 25), ["02:30"], id="an hour that comes twice"),
        pytest.param("5 * * * *", date(2026, 3, 29), [f"{h:02}:05" for h in range(24) if h != 2], id="hourly, forward"),
        pytest.param("5 * * * *", date(2026, 10, 25), [f"{h:02}:05" for h in range(24)], id="hourly, back"),
    ],
)
def test_schedule_on_days_of_change_fires_once(
    planned: Callable[..., Job], line: str, day: date, times: list[str]
) -> None:
    """In the job's own zone every line fires once, also in an hour that comes twice or not at all."""
    [made] = schedules(planned(ingest=line), "ingest")
    assert fired(CronSchedule.model_validate(made.schedule.model_dump()), day) == times


def test_flow_without_a_line_has_no_schedule(planned: Callable[..., Job], make_job: Callable[..., Job]) -> None:
    """What the configuration leaves out does not run by the clock."""
    assert schedules(planned(ingest="5 * * * *"), "training") == []
    assert [schedules(make_job(), flow) for flow in FLOWS] == [[]] * len(FLOWS)


def test_two_jobs_of_one_name_are_refused(planned: Callable[..., Job]) -> None:
    """The second would silently replace the first."""
    with pytest.raises(ConfigError, match="more than one job is named job"):
        deploy.register([planned(), planned(ingest="5 * * * *")], "pool")


def test_new_readings_start_the_flows_that_have_no_line(planned: Callable[..., Job]) -> None:
    """Batch follows the data or the clock, never both; a model that has aged is always trained anew."""
    ids = {flow: uuid4() for flow in FLOWS}

    def started(job: Job) -> dict[str, list[Any]]:
        rules: list[Any] = automations(job, ids)
        return {event: [each.deployment_id for each in rule.actions] for rule in rules for event in rule.trigger.expect}

    free, bound = started(planned(ingest="5 * * * *")), started(planned(batch="5 * * * *", monitor="5 * * * *"))
    followers = [ids[flow] for flow in ("batch", "monitor") if flow in ids]
    assert free == {"gatecast.observations": followers, "gatecast.monitor.retrain": [ids["training"]]}
    assert bound == {"gatecast.monitor.retrain": [ids["training"]]}


def test_forecasts_of_symbols_are_not_watched() -> None:
    """Their job has no such flow, which could only fail; new readings start a batch, and a line for it is refused."""
    job = load_job(next(path for path in CONFIGS if path.stem == "characters"))
    assert flows_of(job) == ("ingest", "training", "batch")
    ids = {flow: uuid4() for flow in flows_of(job)}
    [rule, _] = automations(job.model_copy(update={"schedule": Schedule()}), ids)
    assert [each.deployment_id for each in rule.actions] == [ids["batch"]]
    content = job.model_dump(mode="json", exclude_unset=True) | {"schedule": {"monitor": "5 * * * *"}}
    with pytest.raises(ConfigError, match=r"schedule\.monitor: forecasts of symbols are not monitored"):
        parse_job(content)


def test_job_without_a_schedule_starts_nothing(make_job: Callable[..., Job]) -> None:
    """It runs when asked, not when data comes."""
    assert automations(make_job(), {flow: uuid4() for flow in FLOWS}) == []


def test_order_of_events_makes_no_other_rule() -> None:
    """What is sent to the server again must differ: two equal sets may go through their events in another order."""
    pairs = [({f"a{number}", f"b{number}"}, {f"b{number}", f"a{number}"}) for number in range(300)]
    swapped = [pair for pair in pairs if list(pair[0]) != list(pair[1])]  # where both fall into one place, an eighth
    assert swapped
    for pair in swapped:
        one, other = (
            zombies().model_copy(update={"trigger": zombies().trigger.model_copy(update={"expect": expect})})
            for expect in pair
        )
        assert deploy._core(one) == deploy._core(other)


def test_living_run_is_no_zombie() -> None:
    """Several signs of life fit into the patience, and every way in which a run can end is awaited."""
    trigger: Any = zombies().trigger
    assert PATIENCE == trigger.within >= timedelta(seconds=3 * max(HEARTBEAT, 180))  # Prefect's own default
    ends = {"Completed", "Failed", "TimedOut", "Cancelled", "Crashed"}
    assert {f"prefect.flow-run.{end}" for end in (*ends, "heartbeat")} == trigger.expect
    assert trigger.after == {"prefect.flow-run.Pending", "prefect.flow-run.heartbeat"}  # also before its first sign


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_parameters_hold_the_whole_job(path: Path) -> None:
    """What a deployment is given is valid by the schema that the server checks, and becomes the same job again."""
    job = load_job(path)
    for flow in FLOWS:
        content = deploy._plan(job, flow, "pool").content
        jsonschema.validate(content["parameters"], content["parameter_openapi_schema"])
        assert Job.model_validate(content["parameters"]["job"]) == job


@pytest.mark.parametrize("flow", FLOWS)
def test_parameters_are_typed(flow: str) -> None:
    """Prefect's page shows a form of typed fields: the schema knows the job to its last key and no other."""
    schema = parameter_schema(FLOWS[flow]).model_dump_for_openapi()
    assert schema["properties"]["job"]["$ref"] == "#/definitions/Job"
    assert schema["definitions"]["Window"]["properties"]["horizon"]["type"] == "integer"
    assert schema["definitions"]["Job"]["additionalProperties"] is False


@pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)
def test_flow_keeps_no_pickles_and_has_an_end(flow: Any) -> None:
    """Results stay in the store and the registry, and a run that hangs ends."""
    assert flow.persist_result is False
    assert flow.timeout_seconds


def test_deploying_needs_a_server_and_a_job(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, planned: Callable[..., Job]
) -> None:
    """Each of the three things that may be missing has its own sentence."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(ConfigError, match="PREFECT_API_URL is not set"):
        cli_loop.deploy([CONFIGS[0]])

    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("GATECAST_JOBS", str(tmp_path))
    with pytest.raises(ConfigError, match=f"no job to deploy: name CONFIG files, or put them into {tmp_path}"):
        cli_loop.deploy([])

    closed = {PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}
    with temporary_settings(closed), pytest.raises(GatecastError, match="the Prefect server of PREFECT_API_URL"):
        deploy.register([planned()], "pool")


def test_cutoff_with_a_zone_becomes_utc() -> None:
    """What a person picks on Prefect's page has a zone; what a table holds has none."""
    bare = datetime.fromisoformat("2026-07-01T12:00")
    assert _utc(datetime(2026, 7, 1, 14, tzinfo=BERLIN)) == bare
    assert _utc(bare) == bare
    assert _utc(None) is None
