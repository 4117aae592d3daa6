"""The cost and the gain of every challenger of a run."""

import dataclasses
from pathlib import Path

import pytest

from forecasting.bundle.artifact import open_bundle
from forecasting.evaluation.judging import as_challenger, judge_challenger
from forecasting.lifecycle.attempts import Attempt, candidates
from forecasting.lifecycle.costs import costs
from forecasting.training.records import Start
from tests.lifecycle.well import World, attempt


def test_every_challenger_has_its_costs(world: World, tmp_path: Path) -> None:
    """Steps and seconds of its fits, and its gain over the champion and over the one from scratch."""
    older = Attempt(Start("head", world.older.bundle, 7), (world.older,))
    tried = [older, attempt(world)]
    champion = as_challenger(
        world.older.bundle, world.data.table, world.data.job, world.data.folds[0], tmp_path / "champion"
    )
    first, *others = candidates(world.job, tried, world.rivals)
    held = judge_challenger(world.data.table, world.job, world.data.folds, first, others, champion)
    board = held.leaderboard.set_index("model")["wql"]
    warm, cold = costs(world.job, tried, held)

    assert [warm["init"], cold["init"]] == ["head", "scratch"]
    assert (warm["from_version"], cold["from_version"]) == (7, None)
    assert warm["steps"] == open_bundle(world.older.bundle).manifest.origin.steps
    assert cold["seconds"] == pytest.approx(world.newer.curves["seconds"].sum(), abs=1e-3)
    assert (warm["wql"], cold["wql"]) == (board["stacked:head"], board["stacked"])
    assert warm["over_champion"] == pytest.approx(0, abs=0.05)  # its own weights, other residuals
    assert cold["over_champion"] == pytest.approx(1 - board["stacked"] / board["champion"])
    assert warm["over_scratch"] == pytest.approx(1 - board["stacked:head"] / board["stacked"])
    assert cold["over_scratch"] is None
    assert dataclasses.asdict(held.verdict)["challenger"] == "stacked"
