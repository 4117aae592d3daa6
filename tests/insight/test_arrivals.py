"""Readings are judged when they come, once, by what was forecast before; people are told of each event once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.config.job import Job
from forecasting.insight.arrivals import events, judge_arrivals
from forecasting.insight.news import rows_of, tell
from forecasting.storage.store import Store
from tests.notify.sinks import HttpSink

START = pd.Timestamp("2024-01-01")
DAYS = 40


@pytest.fixture
def job(make_job: Callable[..., Job], http: HttpSink) -> Job:
    """An hourly job that forecasts a day ahead and tells the server."""
    return make_job({"season": 24}, window={"context": 48, "horizon": 24}, notify={"webhook": {"url": http.url}})


@pytest.fixture
def store(home: Path) -> Store:
    """The tables of a fresh home."""
    return Store(home)


def readings(days: int) -> np.ndarray:
    """Two series of noise."""
    return np.random.default_rng(0).normal(50, 1, (2, 24 * days))


def forecast(store: Store, job: Job, day: int, *, hindcast: bool = False, center: float = 50.0) -> None:
    """The vintage from the last hour of the day before."""
    ds = pd.date_range(START + pd.Timedelta(days=day), periods=24, freq="h", unit="us")
    table = pd.DataFrame({"unique_id": np.repeat(["a", "b"], 24), "ds": np.tile(ds, 2)})
    stamps = {"cutoff": ds[0] - pd.Timedelta(hours=1), "created": ds[0]}
    made = table.assign(step=np.tile(np.arange(1, 25), 2), model="m", version=1, hindcast=hindcast, **stamps)
    made = made.assign(**{"q0.1": center - 1.28, "q0.5": center, "q0.9": center + 1.28})
    store.forecasts.append(
        job.name, made.astype({"unique_id": "str", "cutoff": "datetime64[us]", "created": "datetime64[us]"})
    )


def read(store: Store, job: Job, day: int, y: np.ndarray) -> None:
    """The readings of a day."""
    ds = pd.date_range(START + pd.Timedelta(days=day), periods=24, freq="h", unit="us")
    table = pd.DataFrame({"unique_id": np.repeat(["a", "b"], 24), "ds": np.tile(ds, 2), "y": y.ravel()})
    store.observations.merge(job.name, table.astype({"unique_id": "str"}))


def lived(store: Store, job: Job, days: int = DAYS) -> None:
    """Day by day: forecast, read, judge."""
    y = readings(days)
    for day in range(days):
        forecast(store, job, day)
        read(store, job, day, y[:, 24 * day : 24 * (day + 1)])
        if day in (0, 19, days - 1):
            judge_arrivals(store, job)
            tell(store, job, None)


def spiked(height: float) -> np.ndarray:
    """A day whose tenth hour is far off in series b."""
    y = np.random.default_rng(1).normal(50, 1, (2, 24))
    y[1, 10] += height
    return y


def test_spike_is_one_event_told_once(store: Store, job: Job, http: HttpSink) -> None:
    """It stands in the table with what was expected; ingesting and judging again changes nothing and tells nobody."""
    lived(store, job)
    http.requests.clear()
    forecast(store, job, DAYS)
    read(store, job, DAYS, spiked(15))
    for _ in range(2):
        judge_arrivals(store, job)
        tell(store, job, None)
    found = events(store, job.name)
    event = found.iloc[0]
    assert (event["unique_id"], event["kind"], event["alarms"]) == ("b", "spike", 1)
    assert event["start"] == START + pd.Timedelta(days=DAYS, hours=10)
    assert (event["expected"], event["low"], event["high"]) == pytest.approx((50, 48.72, 51.28))
    [told] = http.requests
    assert told.content["event"] == "anomaly"
    assert "b, 2024-02-10 10:00: an unusual reading" in told.content["text"]
    before = store.judgments.read(job.name)
    read(store, job, DAYS, spiked(15))
    judge_arrivals(store, job)
    pd.testing.assert_frame_equal(store.judgments.read(job.name), before)
    pd.testing.assert_frame_equal(events(store, job.name), found.assign(told=True))


def test_history_is_judged_and_no_news(store: Store, job: Job, http: HttpSink) -> None:
    """Forecasts and readings of the time before the first judgment give events that nobody is told of."""
    y = readings(10)
    y[0, 200] += 30
    for day in range(10):
        forecast(store, job, day)
        read(store, job, day, y[:, 24 * day : 24 * (day + 1)])
    judge_arrivals(store, job)
    assert tell(store, job, None) == 0
    assert events(store, job.name)["told"].all()
    assert http.requests == []
    assert len(store.judgments.read(job.name)) == 480


def test_only_earlier_forecasts_count(store: Store, job: Job) -> None:
    """A hindcast that knew the spike, made later, is not what it is judged by; nor is a forecast of no reading yet."""
    lived(store, job, days=8)
    forecast(store, job, 8)
    read(store, job, 8, spiked(15))
    ds = START + pd.Timedelta(days=8, hours=10)
    knowing = store.forecasts.read(job.name)
    knowing = knowing[knowing["cutoff"] == knowing["cutoff"].max()].assign(
        cutoff=ds - pd.Timedelta(hours=1), hindcast=True, **{"q0.1": 64.0, "q0.5": 65.0, "q0.9": 66.0}
    )
    store.forecasts.append(job.name, knowing[knowing["ds"] >= ds].reset_index(drop=True))
    at_spike = knowing[knowing["ds"] == ds].assign(cutoff=ds, version=2, hindcast=False).reset_index(drop=True)
    store.forecasts.append(job.name, at_spike)  # its cutoff is not before the reading
    judge_arrivals(store, job)
    row = store.judgments.read(job.name).set_index(["unique_id", "ds"]).loc[("b", ds)]
    assert row["cutoff"] == START + pd.Timedelta(days=8, hours=-1)
    assert row["z"] > 8


def test_late_readings_are_judged_once(store: Store, job: Job) -> None:
    """A day that comes after the next one is judged by its own forecast; one that was not forecast is not judged."""
    lived(store, job, days=5)
    for day in (5, 6):
        forecast(store, job, day)
    read(store, job, 6, spiked(0))
    judge_arrivals(store, job)
    read(store, job, 5, spiked(0))
    read(store, job, 7, spiked(0))
    judge_arrivals(store, job)
    found = store.judgments.read(job.name)
    assert len(found) == 2 * 24 * 7
    assert not found.duplicated(["unique_id", "ds"]).any()
    assert found["ds"].max() < START + pd.Timedelta(days=7)


@pytest.mark.parametrize("monitor", [{"anomalies": None}, {}])
def test_nothing_to_judge_is_nothing(monitor: dict[str, Any], store: Store, make_job: Callable[..., Job]) -> None:
    """Turned off, without readings, and without forecasts no table is made."""
    job = make_job(monitor=monitor)
    assert judge_arrivals(store, job).empty
    read(store, job, 0, spiked(0))
    assert judge_arrivals(store, job).empty
    assert events(store, job.name).empty
    assert not store.workspace.judgments(job.name).exists()


def test_kill_between_event_and_judgment_makes_no_second_event(
    store: Store, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events are kept first; if the judgments are lost, the repetition finds the same event again."""
    lived(store, job, days=8)
    forecast(store, job, 8)
    read(store, job, 8, spiked(15))

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("forecasting.storage.judgments.JudgmentTables.append", killed)
        with pytest.raises(KeyboardInterrupt):
            judge_arrivals(store, job)
    once = events(store, job.name)
    judge_arrivals(store, job)
    again = events(store, job.name)
    assert again["start"].to_list() == once["start"].to_list()
    assert rows_of(again) == rows_of(once)
