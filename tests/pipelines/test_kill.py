"""Killed with SIGKILL at any step, a rerun ends where an undisturbed run ends."""

import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from forecasting.bundle.artifact import open_bundle
from forecasting.config.settings import Settings
from forecasting.registry.registry import Registry
from forecasting.storage.store import Store


def kill_when(command: Sequence[str], environment: dict[str, str], line: str) -> bool:
    """Start the command, and kill its whole process group when it says `line`; whether it lived that long."""
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr is not None
    guard = threading.Timer(180, os.killpg, (process.pid, signal.SIGKILL))
    guard.start()
    try:
        said = any(line in text for text in process.stderr)
        if said:
            os.killpg(process.pid, signal.SIGKILL)
    finally:
        guard.cancel()
        process.wait()
        process.stderr.close()
    return said


def versions(home: Path) -> list[tuple[Any, ...]]:
    """Every registered version with what it is and its aliases."""
    place = Settings(home=home)
    table = Registry(place.tracking_uri, place.home, place.locks).versions.table("tiny").sort_values("version")
    return [tuple(row) for row in table[["version", "aliases", "model", "verdict", "wql"]].itertuples(index=False)]


def tables(home: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Observations and forecasts, but for when they were made."""
    store = Store(home)
    return store.observations.read("tiny"), store.forecasts.read("tiny").drop(columns="created")


@pytest.mark.timeout(900)
def test_run_killed_at_three_steps_ends_like_an_undisturbed_one(finished: Any, home: Path, gatecast: list[str]) -> None:
    """Killed while data are stored, between two epochs and after the promotion: the same tables, versions, aliases."""
    environment = {**os.environ, "GATECAST_HOME": str(home)}
    command = [*gatecast, "run", str(finished.config)]
    for line in ("storing the observations", "epoch 1/2", "writing the report"):
        assert kill_when(command, environment, line), f"the run never said: {line}"

    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    for mine, undisturbed in zip(tables(home), tables(finished.home), strict=True):
        pd.testing.assert_frame_equal(mine, undisturbed)
    assert not tables(home)[1].duplicated(["unique_id", "ds", "cutoff", "version"]).any()
    assert versions(home) == versions(finished.home)
    for manifest in home.rglob("manifest.json"):
        open_bundle(manifest.parent)
