"""The command that forecasts: vintages, files, and what it does not need."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from forecasting.storage.store import Store
from tests.cli.tiny import Answer


def test_forecast_as_of_then_is_a_vintage_of_its_own(
    gatecast_here: Callable[..., Answer], finished: Any, place: Path, tmp_path: Path
) -> None:
    """Stored once however often it is made, and written whole to a file of either kind."""
    for name, written in (("x.csv", 12), ("new/x.parquet", 0)):
        answer = gatecast_here(
            *("forecast", finished.config, "--at", "2020-01-10T05:00:00", "--out", tmp_path / name, "--json")
        )
        assert answer.code == 0, answer.err
        result = json.loads(answer.out)
        keys = {"name", "model", "version", "rows", "written", "failed", "failures", "coverage", "warnings", "series"}
        assert set(result) == keys
        assert (result["rows"], result["written"], result["failed"]) == (12, written, 0)
    read = {"csv": pd.read_csv(tmp_path / "x.csv"), "parquet": pd.read_parquet(tmp_path / "new" / "x.parquet")}
    stored = Store(place).forecasts.read("tiny", cutoff=pd.Timestamp("2020-01-10 05:00"))
    for table in read.values():
        assert pd.to_datetime(table["cutoff"]).unique().tolist() == [pd.Timestamp("2020-01-10 05:00")]
        assert table["q0.5"].to_numpy() == pytest.approx(stored["q0.5"].to_numpy())
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.parquet"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--out", "x.bad", "--at", "2020-01-08"], 2, "or one of .csv, .parquet"),
        (["--at", "1999-01-01"], 1, "no reading at or before 1999-01-01"),
        (["--at", "soon"], 2, "Invalid value for '--at'"),
        (["--model", "newest"], 1, "tiny has no version or alias newest; it has:"),
    ],
)
def test_forecast_that_cannot_be_made_leaves_nothing(
    gatecast_here: Callable[..., Answer],
    finished: Any,
    place: Path,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    """It says why, with its exit code, and stores no vintage."""
    before = len(Store(place).forecasts.read("tiny"))
    answer = gatecast_here("forecast", finished.config, *arguments)
    assert (answer.code, answer.out) == (code, "")
    assert message in answer.err
    assert "Traceback" not in answer.err
    assert len(Store(place).forecasts.read("tiny")) == before


def test_environment_of_a_child_is_not_needed(gatecast: list[str], finished: Any, place: Path, tmp_path: Path) -> None:
    """A live forecast needs no training package: it works where importing TensorFlow or Keras fails."""
    for package in ("tensorflow", "keras"):
        (tmp_path / f"{package}.py").write_text("raise ImportError('not installed')\n", encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [*gatecast, "forecast", str(finished.config), "--json"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 12
