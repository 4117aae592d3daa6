"""Readings that are sent to a job with `series.aggregate`: in any order and over any restart, steps are whole."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.config.job import Job, parse_job
from forecasting.config.settings import ServeSettings
from forecasting.serve.errors import ServiceError
from forecasting.serve.intake import ReadingsRequest, StepIntake
from forecasting.storage.ingestion import merge_left
from forecasting.storage.store import Store

HOW = {"mean": "mean", "sum": "sum", "last": "last", "min": "min", "max": "max", "count": "count"}


def job(how: str = "mean", **series: Any) -> Job:
    """Sensors that report when they like, gathered into steps of five minutes."""
    content = {"freq": "5min", "aggregate": how, **series}
    return parse_job(
        {"name": "valve", "source": {"kind": "synthetic"}, "series": content, "window": {"context": 6, "horizon": 2}}
    )


def sensors(seed: int = 0, names: str = "ab", hours: float = 6) -> pd.DataFrame:
    """Irregular readings of some sensors, with pauses of an hour and a reading at the very end of a step."""
    draw, parts = np.random.default_rng(seed), []
    for name in names:
        seconds = np.sort(draw.choice(int(3600 * hours), size=int(40 * hours), replace=False))
        seconds = np.append(seconds[(seconds < 3600) | (seconds > 7200)], 10_800)
        stamps = pd.Timestamp("2026-01-05") + pd.to_timedelta(np.unique(seconds), unit="s")
        parts.append(pd.DataFrame({"unique_id": name, "ds": stamps, "y": draw.normal(10, 3, len(stamps)).round(2)}))
    return pd.concat(parts, ignore_index=True)


def send(intake: StepIntake, rows: pd.DataFrame) -> dict[str, Any]:
    """One request."""
    content = rows.assign(ds=rows["ds"].dt.strftime("%Y-%m-%dT%H:%M:%S"))
    return intake.accept(ReadingsRequest(columns={str(name): content[name].tolist() for name in content}))


def expected(rows: pd.DataFrame, how: str) -> pd.DataFrame:
    """The steps that are over, as pandas resamples them."""
    newest = rows["ds"].max()
    parts = []
    for name, group in rows.groupby("unique_id"):
        steps = group.set_index("ds")["y"].resample("5min", closed="right", label="right").agg(HOW[how])
        steps = steps[steps.index <= newest]
        steps = (
            steps
            if how == "count"
            else steps[
                group.set_index("ds")["y"].resample("5min", closed="right", label="right").count().reindex(steps.index)
                > 0
            ]
        )
        parts.append(pd.DataFrame({"unique_id": name, "ds": steps.index, "y": steps.astype(float).to_numpy()}))
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("how", HOW)
def test_steps_are_those_of_all_readings_however_they_come(how: str, tmp_path: Path) -> None:
    """Shuffled by an hour, in small requests, merged at any time, and over restarts of the service."""
    rows, draw = sensors(), np.random.default_rng(1)
    order = (rows["ds"] + pd.to_timedelta(draw.uniform(0, 3600, len(rows)), unit="s")).argsort()
    store, made = Store(tmp_path), job(how)
    intake = StepIntake(made, store, ServeSettings())
    begin = 0
    while begin < len(rows):
        size = int(draw.integers(1, 9))
        send(intake, rows.iloc[order[begin : begin + size]])
        begin += size
        if draw.random() < 0.3:
            intake.merge()
        if draw.random() < 0.1:
            intake = StepIntake(made, store, ServeSettings())
    intake.merge()
    stored = store.observations.read("valve")
    pd.testing.assert_frame_equal(
        stored.dropna(subset="y").reset_index(drop=True), expected(rows, how), check_dtype=False
    )
    assert intake.merge() == 0
    version = store.observations.version("valve")
    StepIntake(made, store, ServeSettings()).merge()
    assert store.observations.version("valve") == version


def test_a_step_waits_until_it_is_over(tmp_path: Path) -> None:
    """Its readings are on disk meanwhile; what came by the end of the service is merged by the next ingestion."""
    store, made = Store(tmp_path), job()
    intake = StepIntake(made, store, ServeSettings())
    rows = sensors(names="a").head(1)
    send(intake, rows)
    assert intake.merge() == 0
    assert store.observations.version("valve") is None
    send(intake, rows.assign(ds=rows["ds"] + pd.Timedelta(minutes=5), y=1.0))
    assert merge_left(store.workspace, store.observations, made) == 1
    assert store.observations.read("valve")["y"].tolist() == rows["y"].tolist()


def test_readings_of_closed_steps_are_refused(tmp_path: Path) -> None:
    """More than 24 steps behind the newest of their series, or of steps that the source has filled; none of a request
    is kept then.
    """
    store, made = Store(tmp_path), job()
    source = pd.DataFrame({"unique_id": "a", "ds": pd.date_range("2026-01-05", periods=3, freq="5min"), "y": 5.0})
    store.observations.merge("valve", source.astype({"unique_id": "str", "ds": "datetime64[us]"}))
    of_source, after = sensors(names="a").head(2), pd.Timestamp("2026-01-05 00:10:01")
    for _ in range(2):  # also after a restart
        intake = StepIntake(made, store, ServeSettings())
        with pytest.raises(ServiceError) as refused:
            send(intake, of_source.assign(ds=[after, pd.Timestamp("2026-01-05 00:10:00")]))
        assert refused.value.details[0].startswith("1 reading(s) belong to steps that are closed")
        send(intake, of_source.head(1).assign(ds=[after]))
    send(intake, of_source.head(1).assign(ds=[after + pd.Timedelta(hours=4)]))
    intake.merge()
    late = of_source.head(1).assign(ds=[after + pd.Timedelta(hours=1, minutes=30)])
    with pytest.raises(ServiceError) as refused:
        send(intake, late)
    assert "more than 24 steps late" in refused.value.details[0]
    send(intake, late.assign(unique_id="b"))
    assert store.observations.read("valve", unique_id="a")["y"].tolist()[:3] == [5.0] * 3
    held = intake.spool.size
    send(intake, of_source.head(1).assign(ds=[after + pd.Timedelta(hours=9)]))
    intake.merge()
    assert intake.spool.size < 2 * held  # what is closed has left the spool


def test_a_service_takes_readings_of_such_a_job(
    service: Any, copied: Path, tmp_path: Path, make_keys: Callable[..., Any]
) -> None:
    """Over HTTP, from the request to the store."""
    config = tmp_path / "valve.yaml"
    config.write_text(
        "{name: valve, source: {kind: synthetic}, window: {context: 6, horizon: 2},"
        " series: {freq: 5min, aggregate: mean}}"
    )
    setting, secrets = make_keys("write")
    stamps = ["2026-01-05T00:01:00", "2026-01-05T00:04:59", "2026-01-05T00:05:00", "2026-01-05T00:05:01"]
    columns = {"unique_id": ["a"] * 4, "ds": stamps, "y": [1.0, 2.0, 6.0, 99.0]}
    with service(copied, ingest=(config,), keys=setting, merge_seconds=3600) as client:
        headers = {"X-API-Key": secrets["write"]}
        answer = client.post("/v1/readings", {"name": "valve", "columns": columns}, headers=headers)
        assert (answer.status_code, answer.json()["readings"]) == (202, 4)
    assert Store(copied).observations.read("valve")["y"].tolist() == [3.0]
