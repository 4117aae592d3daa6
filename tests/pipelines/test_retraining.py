"""A warm challenger through the whole flow: it loses, one from scratch follows in the same run, both are told."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from forecasting.config.job import beginning_with, load_job
from forecasting.lifecycle.home import open_home
from forecasting.registry.aliases import Cause
from forecasting.registry.client import connect
from pipelines.training import training


def test_a_warm_challenger_that_loses_is_followed_by_one_from_scratch(finished: Any, home: Any) -> None:
    """Only the second one is registered; cost and gain of both stand in the outcome, the report and MLflow."""
    shutil.copytree(finished.home, home)
    registry = open_home().registry
    registry.aliases.promote(
        "tiny", 1, cause=Cause("a test", force=True)
    )  # the network that the finished run refused: a champion with weights
    before = len(registry.versions.table("tiny"))

    outcome = training.fn(beginning_with(load_job(finished.config), "head"))

    warm, cold = outcome.challengers
    assert (warm["init"], warm["from_version"], cold["init"], cold["from_version"]) == ("head", 1, "scratch", None)
    assert warm["steps"] > 0
    assert warm["over_scratch"] is not None
    board = {row["model"]: row["wql"] for row in outcome.leaderboard}
    assert set(board) == {"stacked", "champion", "stacked:head", "naive", "seasonal_naive", "drift", "ridge"}
    assert (warm["wql"], cold["wql"]) == pytest.approx((board["stacked:head"], board["stacked"]))
    assert len(registry.versions.table("tiny")) == before + 1
    assert (outcome.promoted, outcome.champion) == (False, 1)
    with connect(registry.versions.tracking_uri) as client:
        metrics = client.get_run(outcome.run_id).data.metrics
    assert metrics["challenger.head.steps"] == warm["steps"]
    assert metrics["challenger.scratch.wql"] == cold["wql"]
    assert metrics["stacked:head.wql"] == warm["wql"]
    text = Path(outcome.report).read_text(encoding="utf-8")
    assert "Challenger from head" in text
    assert "weights of version 1" in text
