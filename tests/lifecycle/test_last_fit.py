"""The last fit on all readings, and how it takes the place of its judged twin in a real registry."""

from pathlib import Path

import keras
import numpy as np
import pytest

from forecasting.bundle.artifact import open_bundle, read_graphs, write
from forecasting.bundle.engine import Graphs
from forecasting.lifecycle.attempts import candidates
from forecasting.lifecycle.last_fit import replace_twin, rules_of
from forecasting.lifecycle.promotion import Decision, Judging, decide
from forecasting.registry.aliases import Cause
from forecasting.registry.registry import Registry
from forecasting.training.final_fit import fit_finally
from forecasting.training.records import Fitted
from tests.lifecycle.well import World, attempt, found, live

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")


@pytest.fixture
def final(world: World, tmp_path: Path) -> Fitted:
    """The newer network on all readings."""
    before = keras.config.dtype_policy()
    epochs = int(world.newer.curves["val_loss"].argmin()) + 1
    twin = open_bundle(world.newer.bundle)
    last = fit_finally(world.data.table, world.job, world.data.folds[-1], twin, tmp_path / "final", epochs=epochs)
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
        registry.aliases.promote("well", decision.version, cause=Cause("live, whatever the gate says", force=True))
        (given.work / "went-live").touch()
    return given, decision


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
                golden=bundle.golden,
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


def test_a_run_without_a_last_fit_has_no_rules_of_one() -> None:
    """As where `train.final_fit` is off."""
    assert rules_of(None) == []
