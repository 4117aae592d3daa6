"""A challenger's first weights out of a real registry, its costs, and the last fit that takes its twin's place."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd
import pytest

from forecasting import sources
from forecasting.bundle.artifact import Origin, golden_inputs, open_bundle, read_graphs, write
from forecasting.bundle.engine import Graphs
from forecasting.config.job import Job, parse_job
from forecasting.errors import UnknownVersionError
from forecasting.evaluation.judging import Candidate, as_challenger, fit_baselines, judge_challenger
from forecasting.lifecycle import retraining
from forecasting.lifecycle.promotion import Decision, Judging, decide
from forecasting.lifecycle.retraining import Attempt, candidates, costs, find_start, replace_twin
from forecasting.registry.registry import Registry
from forecasting.series.clean import clean
from forecasting.series.folds import folds
from forecasting.storage.snapshot import Snapshot
from forecasting.training.final_fit import fit_finally
from forecasting.training.fit import fit
from forecasting.training.fitted import Fitted
from forecasting.training.start import SCRATCH, Start

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")

NEW = 60  # hours since the champion's fit


class World(NamedTuple):
    """A network fitted on all but the newest hours, another one on what a run knows now, and the baselines."""

    job: Job
    data: Snapshot
    older: Fitted
    newer: Fitted
    rivals: tuple[Candidate, ...]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Fitted once; no test changes a bundle."""
    job = parse_job(
        {
            "name": "well",
            "source": {"kind": "synthetic", "series": 2, "length": 400, "season": 24, "noise": 0.1, "seed": 1},
            "series": {"freq": "h"},
            "window": {"context": 24, "horizon": 4},
            "model": {"name": "stacked", "params": {"cell": "gru", "units": [8]}},
            "train": {"epochs": 10, "batch_size": 32, "learning_rate": 0.02},
            "backtest": {"windows": 12, "step": 4},
            "gate": {"baselines": ["naive"], "coverage": [0.3, 1.0], "fallback": "none"},
        }
    )
    place, before = tmp_path_factory.mktemp("well"), keras.config.dtype_policy()
    table = clean(sources.read(job), job.series).table
    old = table[table["ds"] <= table["ds"].max() - pd.Timedelta(hours=NEW)]
    older = fit(old, job, folds(old, job)[0], place / "older", origin=Origin())
    newer = fit(table, job, folds(table, job)[0], place / "newer", origin=Origin())
    keras.config.set_dtype_policy(before)
    data = Snapshot(0, "f", table, pd.DataFrame(), folds(table, job))
    return World(job, data, older, newer, fit_baselines(table, job, data.folds, place / "rivals", origin=Origin()))


def asking(job: Job, init: str) -> Job:
    """The job with these first weights."""
    return job.model_copy(update={"train": job.train.model_copy(update={"init": init})})


def live(registry: Registry, bundle: Path, key: str = "old", notes: dict[str, str] | None = None) -> tuple[int, str]:
    """Register a bundle and make it the champion; its version and its run."""
    run = registry.runs.start("well", key, {})
    version = registry.versions.register("well", run.run_id, bundle, verdict="passed", metrics={}, notes=notes)
    registry.aliases.promote("well", version)
    return version, run.run_id


def found(registry: Registry, world: World, place: Path, init: str) -> Start:
    """The start of a run in this folder."""
    return find_start(registry, asking(world.job, init), world.data, work=place / "work")


def test_scratch_asks_nobody(registry: Registry, world: World, tmp_path: Path) -> None:
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
    assert start.note == "trained from scratch, not from version 1: it is the baseline naive, which has no network"


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


@pytest.fixture
def final(world: World, tmp_path: Path) -> Fitted:
    """The newer network on all readings."""
    before = keras.config.dtype_policy()
    epochs = int(world.newer.curves["val_loss"].argmin()) + 1
    last = fit_finally(world.data.table, world.job, open_bundle(world.newer.bundle), tmp_path / "final", epochs=epochs)
    keras.config.set_dtype_policy(before)
    return last


def judged(registry: Registry, world: World, place: Path) -> tuple[Judging, Decision]:
    """The newer network judged and live, with the older one as @previous."""
    live(registry, world.older.bundle)
    run = registry.runs.start("well", "new", {})
    job = world.job.model_copy(update={"gate": world.job.gate.model_copy(update={"baselines": ()})})
    given = Judging(
        job,
        run.run_id,
        world.data.table,
        world.data.folds,
        candidates(job, [attempt(world)], world.rivals),
        place / "w",
    )
    decision = decide(registry, given)
    if not decision.judgment.verdict.passed:  # both are as good as each other: what is tested here comes after it
        registry.aliases.promote("well", decision.version)
        (given.work / "went-live").touch()
    return given, decision


def attempt(world: World, start: Start = SCRATCH) -> Attempt:
    """A challenger with the newer fit."""
    return Attempt(start, (world.newer,))


def test_the_last_fit_takes_as_many_steps_as_validation_chose(world: World, final: Fitted) -> None:
    """On every reading, in the twin's space and with its residuals, but other weights."""
    twin, last = open_bundle(world.newer.bundle), open_bundle(final.bundle)
    assert last.manifest.origin.steps == twin.manifest.origin.steps > 0
    assert last.manifest.origin.fit_until == world.data.table["ds"].max()
    assert last.manifest.weights != twin.manifest.weights
    assert last.spec == twin.spec
    np.testing.assert_array_equal(last.calibration.residuals, twin.calibration.residuals)


def test_a_sane_last_fit_serves_and_both_are_kept(
    registry: Registry, world: World, final: Fitted, tmp_path: Path
) -> None:
    """Its version names its twin, @previous is still the champion before, and a repetition changes nothing."""
    given, decision = judged(registry, world, tmp_path)
    came = replace_twin(registry, given, decision, final)
    assert [rule.sentence for rule in came.rules if not rule.passed] == []
    serving, previous = registry.versions.get("well", "champion"), registry.versions.get("well", "previous")
    assert came.version == serving.version == decision.version + 1
    assert (previous.version, serving.verdict) == (1, "final")
    assert serving.notes["twin"] == str(decision.version)
    assert serving.notes["fit_until"] == world.data.table["ds"].max().isoformat()
    assert serving.judged == decision.version

    assert replace_twin(registry, given, decision, final) == came
    assert len(registry.versions.table("well")) == came.version
    assert registry.aliases.rollback("well") == 1


def test_the_judged_twin_stands_for_its_last_fit(
    registry: Registry, world: World, final: Fitted, tmp_path: Path
) -> None:
    """As opponent and as first weights: the last fit knows every cutoff that the next challenger is judged on."""
    given, decision = judged(registry, world, tmp_path)
    replace_twin(registry, given, decision, final)
    run = registry.runs.start("well", "next", {})
    held = decide(registry, given._replace(run_id=run.run_id, work=tmp_path / "next"))
    assert held.judgment.of("champion").weights == open_bundle(world.newer.bundle).manifest.weights
    start = found(registry, world, tmp_path / "start", "champion")
    assert (start.version, start.warm) == (decision.version, True)


def test_an_insane_last_fit_never_serves(registry: Registry, world: World, final: Fitted, tmp_path: Path) -> None:
    """One that forecasts something else, one that is not finite, one that broke off: the judged model goes on."""
    given, decision = judged(registry, world, tmp_path)
    for name, bias in (("far", 3.0), ("nan", np.nan)):
        bundle = open_bundle(final.bundle)
        graph = biased(read_graphs(bundle.path), bias)
        with np.errstate(invalid="ignore"):
            other = write(
                tmp_path / name,
                bundle.spec,
                graph,
                calibration=bundle.calibration,
                golden=golden_inputs(bundle.path),
                origin=bundle.manifest.origin,
            )
        if name == "nan":  # its golden forecast cannot be reproduced, so it is no bundle at all
            with pytest.raises(Exception, match="golden"):
                open_bundle(other)
            continue
        came = replace_twin(registry, given, decision, final._replace(bundle=other))
        assert came.version is None
        assert {rule.rule for rule in came.rules if not rule.passed} == {"near", "not_worse"}
    came = replace_twin(registry, given, decision, "the loss became nan in epoch 1")
    assert [(rule.rule, rule.passed) for rule in came.rules] == [("finished", False)]
    assert registry.versions.get("well", "champion").version == decision.version
    assert len(registry.versions.table("well")) == decision.version


def biased(graphs: Graphs, bias: float) -> Graphs:
    """The graph with a constant added to its output."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load_from_string(graphs.model)
    name = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = ["before" if output == name else output for output in node.output]
    model.graph.initializer.append(numpy_helper.from_array(np.array(bias, np.float32), "bias_added"))
    model.graph.node.append(helper.make_node("Add", ["before", "bias_added"], [name]))
    return Graphs(model.SerializeToString())


def test_a_last_fit_comes_too_late_for_another_champion(
    registry: Registry, world: World, final: Fitted, tmp_path: Path
) -> None:
    """Rolled back, or overtaken, while it was fitted: the alias stays where it is, and nothing is registered."""
    given, decision = judged(registry, world, tmp_path)
    registry.aliases.rollback("well")
    before = len(registry.versions.table("well"))
    assert replace_twin(registry, given, decision, final).version is None
    assert registry.versions.get("well", "champion").version == 1
    assert len(registry.versions.table("well")) == before


def test_every_challenger_is_billed(world: World, tmp_path: Path) -> None:
    """Steps and seconds of its fits, and its gain over the champion and over the one from scratch."""
    older = Attempt(Start("head", world.older.bundle, 7), (world.older,))
    tried = [older, attempt(world)]
    champion = as_challenger(world.older.bundle, world.data.table, world.data.folds[0], tmp_path / "champion")
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
    assert retraining.rules_of(None) == []
