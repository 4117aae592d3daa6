"""A challenger's first weights out of a real registry, or the reason why it has none."""

from pathlib import Path

import pytest

from forecasting.bundle.artifact import open_bundle
from forecasting.errors import UnknownVersionError
from forecasting.lifecycle.first_weights import find_start
from forecasting.registry.registry import Registry
from forecasting.series.folds import folds
from forecasting.training.records import SCRATCH
from tests.lifecycle.well import World, asking, found, live


def test_scratch_needs_no_registry(registry: Registry, world: World, tmp_path: Path) -> None:
    """The default needs no registry and leaves no note."""
    assert found(registry, world, tmp_path, "scratch") == SCRATCH
    assert not (tmp_path / "work").exists()


def test_without_a_champion_a_run_begins_from_scratch_and_says_so(
    registry: Registry, world: World, tmp_path: Path
) -> None:
    """The first run of a job whose policy is warm."""
    start = found(registry, world, tmp_path, "champion")
    assert (start.init, start.warm, start.note) == ("scratch", False, "trained from scratch: nothing is live yet")


def test_a_live_baseline_has_no_weights_to_begin_with(registry: Registry, world: World, tmp_path: Path) -> None:
    """The note names the version and the reason."""
    live(registry, world.rivals[0].bundles[0])
    start = found(registry, world, tmp_path, "encoder")
    assert not start.warm
    assert start.note == "trained from scratch, not from version 1: it is the baseline naive, not a network"


def test_the_champions_weights_are_fetched_and_stay_the_same_after_a_kill(
    registry: Registry, world: World, tmp_path: Path
) -> None:
    """The bundle of its version; a run that is repeated begins with it again, whoever is live by then."""
    live(registry, world.older.bundle)
    start = found(registry, world, tmp_path, "head")
    assert (start.init, start.version, start.note) == ("head", 1, "")
    assert start.bundle is not None
    assert open_bundle(start.bundle).manifest.weights == open_bundle(world.older.bundle).manifest.weights

    live(registry, world.newer.bundle, "newer")
    assert found(registry, world, tmp_path, "head") == start
    assert found(registry, world, tmp_path / "another-run", "head").version == 2


def test_a_champion_from_the_future_of_the_backtest_is_not_begun_with(
    registry: Registry, world: World, tmp_path: Path
) -> None:
    """As after a job's backtest was made longer: the weights would know what they are judged on."""
    live(registry, world.newer.bundle)
    earlier = world.job.model_copy(update={"backtest": world.job.backtest.model_copy(update={"windows": 30})})
    data = world.data._replace(folds=folds(world.data.table, earlier))
    start = find_start(registry, asking(earlier, "champion"), data, work=tmp_path / "w")
    assert not start.warm
    assert "it learned from readings up to" in start.note


def test_the_weights_of_a_run_are_those_that_it_judged(registry: Registry, world: World, tmp_path: Path) -> None:
    """A run's id names its first version; an unknown one is an error that names those there are."""
    _, run = live(registry, world.older.bundle)
    live(registry, world.newer.bundle, "newer")
    assert found(registry, world, tmp_path, run).version == 1
    with pytest.raises(UnknownVersionError, match=f"no version of the run {'0' * 32}; it has versions of .*{run}"):
        found(registry, world, tmp_path / "b", "0" * 32)
