"""The monitor as flow and command: it looks, it renews intervals, it trains, each once."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from forecasting.config.job import Job, load_job
from forecasting.lifecycle.home import open_home
from forecasting.registry.registry import Registry
from forecasting.storage.store import Store
from pipelines.monitor import monitor

HOURS = 120


@pytest.fixture
def place(finished: Any, home: Path) -> Path:
    """The home of a finished run, to be changed."""
    shutil.copytree(finished.home, home)
    return home


def read(job: Job, store: Store, *, shift: float) -> None:
    """Five more days of readings, the last ones again, shifted."""
    table = store.observations.read(job.name)
    last = table[table["ds"] > table["ds"].max() - pd.Timedelta(hours=HOURS)]
    store.observations.merge(job.name, last.assign(ds=last["ds"] + pd.Timedelta(hours=HOURS), y=last["y"] + shift))


def narrow(job: Job, store: Store) -> None:
    """Forecasts of the live version that are right, with intervals that hold next to nothing."""
    live = open_home().registry.versions.get(job.name, "champion")
    table = store.observations.read(job.name)
    table = table[table["ds"] > table["ds"].max() - pd.Timedelta(hours=HOURS)]
    promised = live.metrics["mae"]
    made = table[["unique_id", "ds"]].assign(
        cutoff=table["ds"] - pd.Timedelta(hours=1), step=1, model=live.model, version=live.version
    )
    middle = table["y"].to_numpy() + promised
    for name, off in (("q0.1", -0.01), ("q0.5", 0.0), ("q0.9", 0.01)):
        made[name] = middle + off * promised
    store.forecasts.append(job.name, made)


def command(gatecast: list[str], finished: Any, home: Path, *options: str) -> dict[str, Any]:
    """What `gatecast monitor --json` prints."""
    from_here = {**os.environ, "GATECAST_HOME": str(home)}
    line = [*gatecast, "monitor", str(finished.config), "--json", *options]
    done = subprocess.run(line, env=from_here, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_flow_renews_lost_intervals_once(finished: Any, place: Path) -> None:
    """The point error is as promised, the coverage is not: a new version with the same weights is live, once."""
    job = load_job(finished.config)
    store, registry = open_home().store, open_home().registry
    read(job, store, shift=0.0)
    narrow(job, store)
    before = registry.versions.get(job.name, "champion")
    assert monitor.fn(job, act=False).verdict == "recalibrate"
    assert registry.versions.get(job.name, "champion") == before
    found = monitor.fn(job, act=True)
    after = registry.versions.get(job.name, "champion")
    assert (found.verdict, found.due, found.version) == ("recalibrate", True, before.version)
    assert (after.verdict, after.weights) == ("recalibrated", before.weights)
    monitor.fn(job, act=True)
    assert registry.versions.get(job.name, "champion") == after


def test_flow_without_a_server_leaves_training_to_the_command(finished: Any, place: Path) -> None:
    """Nobody would hear the event, so the verdict stays due."""
    job = load_job(finished.config)
    read(job, open_home().store, shift=5.0)
    assert monitor.fn(job, act=True).verdict == "retrain"
    assert monitor.fn(job, act=True).due


def test_command_trains_once_for_a_drift(gatecast: list[str], finished: Any, place: Path) -> None:
    """The readings have moved: a training is run and judged, and the verdict is settled; a look changes nothing."""
    job = load_job(finished.config)
    read(job, Store(place), shift=5.0)
    looked = command(gatecast, finished, place)
    assert (looked["verdict"], looked["due"], looked["run_id"]) == ("retrain", True, None)
    acted = command(gatecast, finished, place, "--act")
    assert acted["run_id"] not in (None, finished.outcome["run_id"])
    registry = Registry(f"sqlite:///{place / 'mlflow.db'}", place)
    versions = registry.versions.table(job.name)
    assert acted["run_id"] in set(versions["run_id"])
    again = command(gatecast, finished, place, "--act")
    assert again["run_id"] is None
    pd.testing.assert_frame_equal(registry.versions.table(job.name), versions)
