"""Flows tell people what happened, once, and go on whatever becomes of the message."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from forecasting.config.job import Job, parse_job
from forecasting.errors import SourceError
from forecasting.lifecycle.home import open_home
from forecasting.report.outcome import Outcome
from pipelines import alerts
from pipelines.ingest import ingest
from pipelines.monitor import monitor
from pipelines.training import training
from tests.notify.sinks import HttpSink

HOURS = 120


@pytest.fixture
def job(finished: Any, home: Path, http: HttpSink) -> Job:
    """The job of a finished run, which tells the server; its home is a copy."""
    shutil.copytree(finished.home, home)
    content = yaml.safe_load(finished.config.read_text(encoding="utf-8"))
    return parse_job({**content, "notify": {"webhook": {"url": http.url}}})


def events(http: HttpSink) -> list[str]:
    """What the server was told, in order."""
    return [request.content["event"] for request in http.requests]


def shifted(job: Job) -> None:
    """Five more days of readings, at another level."""
    store = open_home().store
    table = store.observations.read(job.name)
    last = table[table["ds"] > table["ds"].max() - pd.Timedelta(hours=HOURS)]
    store.observations.merge(job.name, last.assign(ds=last["ds"] + pd.Timedelta(hours=HOURS), y=last["y"] + 5.0))


def test_what_went_live_is_told_once(job: Job, http: HttpSink) -> None:
    """A run that is recalled is the same run: its message is sent once, although whom to tell is no part of the run."""
    outcome = training.fn(job)
    training.fn(job)
    [told] = http.requests
    assert told.content["event"] == "promoted"  # the best baseline, in place of a network that was refused
    assert told.content["facts"]["run_id"] == outcome.run_id
    assert "serves in its place" in told.content["text"]


def test_alarms_are_told_when_they_begin(job: Job, http: HttpSink) -> None:
    """A rule that is broken is news once: not in a repeated check, nor in the next one, a day later."""
    shifted(job)
    monitor.fn(job, act=False)
    monitor.fn(job, act=False)
    assert events(http) == ["monitor"]
    assert "inputs_mean_shift" in http.requests[0].content["facts"]["rules"]
    store = open_home().store
    table = store.observations.read(job.name)
    last = table[table["ds"] > table["ds"].max() - pd.Timedelta(hours=24)]
    store.observations.merge(job.name, last.assign(ds=last["ds"] + pd.Timedelta(hours=24)))
    found = monitor.fn(job, act=False)
    assert found.verdict != "fine"
    again = [rule for request in http.requests for rule in request.content["facts"]["rules"]]
    assert len(again) == len(set(again))


def refused(outcome: dict[str, Any], **changed: Any) -> Outcome:
    """A training whose challenger was refused, and changed nothing."""
    return Outcome.model_validate({**outcome, "promoted": False, "fallback": False, "run_id": "other", **changed})


def test_refusal_is_news_where_the_promise_is_broken(finished: Any, job: Job, http: HttpSink) -> None:
    """A weekly training that changes nothing is none; it is if the live error is too large, or nothing is live."""
    alerts.trained(job, refused(finished.outcome))
    assert events(http) == []
    alerts.trained(job, refused(finished.outcome, champion=None))
    assert events(http) == ["refused"]
    rule = {"rule": "error", "state": "broken", "sentence": ""}
    row = {"version": 1, "until": pd.Timestamp("2024-01-01"), "verdict": "retrain", "rules": json.dumps([rule])}
    now = pd.Timestamp("2024-01-02")
    open_home().store.verdicts.keep(job.name, pd.DataFrame([{**row, "created": now}]))
    alerts.trained(job, refused(finished.outcome, run_id="third"))
    assert events(http) == ["refused", "refused"]


def test_failure_is_told_once_a_day_and_goes_on(job: Job, http: HttpSink, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error ends the flow as before; the same one twice is one message, and its text is the one of the command."""
    content = job.model_dump(mode="json", exclude_unset=True)
    broken = parse_job({**content, "source": {"kind": "file", "path": "nowhere/*.csv"}})
    for _ in range(2):
        with pytest.raises(SourceError) as caught:
            ingest.fn(broken)
    [told] = http.requests
    assert (told.content["title"], told.content["text"]) == ("tiny: ingest failed", str(caught.value))


def test_text_of_an_unknown_error_stays_here(job: Job, http: HttpSink) -> None:
    """It may hold whatever a library had in its hands, such as a password."""
    with pytest.raises(ValueError, match="hunter2"), alerts.failing(job, "batch"):
        raise ValueError("hunter2")
    assert "hunter2" not in json.dumps(http.requests[0].content)
    assert "ValueError" in http.requests[0].content["text"]


def test_flow_does_not_mind_a_sink_that_is_down(job: Job, http: HttpSink, monkeypatch: pytest.MonkeyPatch) -> None:
    """The training gives its outcome, and the message waits."""
    monkeypatch.setattr("forecasting.notify.outbox._PAUSE", 0.0)
    http.answers = [500] * 3
    assert training.fn(job).champion is not None
    assert open_home().store.notices.read(job.name)["state"].to_list() == ["waiting"]


def test_command_sends_a_test_and_lists_what_was_sent(
    gatecast: list[str], job: Job, http: HttpSink, home: Path, tmp_path: Path
) -> None:
    """`--test` ends with 1 where a sink refuses, and says which; without it the outbox is listed."""
    path = tmp_path / "told.yaml"
    path.write_text(yaml.safe_dump(job.model_dump(mode="json", exclude_unset=True)), encoding="utf-8")
    training.fn(job)

    def call(*options: str) -> Any:
        line = [*gatecast, "notify", str(path), "--json", *options]
        environment = {**os.environ, "GATECAST_HOME": str(home)}
        return subprocess.run(line, env=environment, capture_output=True, text=True, check=False)

    listed = json.loads(call().stdout)
    assert listed["sinks"] == ["webhook"]
    assert [(row["sink"], row["state"]) for row in listed["messages"]] == [("webhook", "sent")]
    done = call("--test")
    assert (done.returncode, json.loads(done.stdout)["messages"][0]["state"]) == (0, "sent")
    http.answers = [403]
    done = call("--test")
    assert (done.returncode, done.stderr.strip()) == (1, "error: webhook: the answer is 403")


def test_ingest_tells_of_an_unusual_reading_once(home: Path, http: HttpSink, tmp_path: Path) -> None:
    """What comes is judged by the forecasts that were stored; the same file again is no second event."""
    content = {"series": {"freq": "h"}, "window": {"context": 6, "horizon": 4}, "model": "stacked"}
    source = {"kind": "file", "path": str(tmp_path / "*.csv")}
    job = parse_job({"name": "meter", "source": source, **content, "notify": {"webhook": {"url": http.url}}})
    ds = pd.date_range("2026-01-05", periods=4, freq="h", unit="us")
    made = pd.DataFrame(
        {"unique_id": "a", "ds": ds, "cutoff": ds[0] - pd.Timedelta(hours=1), "version": 1, "model": "m"}
    )
    quantiles = {"step": [1, 2, 3, 4], "q0.1": 4.0, "q0.5": 5.0, "q0.9": 6.0}
    store = open_home().store
    store.forecasts.append(job.name, made.assign(**quantiles).astype({"unique_id": "str"}))

    def ingested(*y: float) -> None:
        rows = pd.DataFrame({"unique_id": "a", "ds": ds[: len(y)], "y": y})
        rows.to_csv(tmp_path / "readings.csv", index=False)
        ingest.fn(job)

    ingested(5.1)
    assert len(store.judgments.read(job.name)) == 1
    for _ in range(2):
        ingested(5.1, 4.9, 50.0)
    [told] = http.requests
    assert (told.content["event"], told.content["facts"]["events"]) == ("anomaly", 1)
    assert "50 where 4 to 6 was expected" in told.content["text"]
