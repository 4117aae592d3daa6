"""From backtests to aliases, against a real MLflow database: what goes live, what stays, and what a kill leaves."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from forecasting import sources
from forecasting.bundle.artifact import Origin, open_bundle
from forecasting.bundle.assemble import recalibrate
from forecasting.bundle.forecaster import open_forecaster
from forecasting.config.job import Job, parse_job
from forecasting.errors import RegistryError
from forecasting.evaluation.judging import Candidate, fit_baselines
from forecasting.lifecycle import promotion
from forecasting.lifecycle.promotion import Decision, Judging, decide
from forecasting.registry.aliases import Aliases
from forecasting.registry.registry import Registry
from forecasting.registry.versions import Versions
from forecasting.series.clean import clean
from forecasting.series.folds import Fold, folds

RIVALS = ("naive", "seasonal_naive", "drift")


class Arena(NamedTuple):
    """A table, its folds, and every baseline fitted on them."""

    table: pd.DataFrame
    folds: tuple[Fold, ...]
    candidates: dict[str, Candidate]


def make_job(**gate: Any) -> Job:
    """Two seasonal series; the ridge is the challenger, so the gate compares with the others."""
    return parse_job(
        {
            "name": "buoy",
            "source": {"kind": "synthetic", "series": 2, "length": 400, "season": 24, "noise": 0.1, "seed": 1},
            "series": {"freq": "h"},
            "window": {"context": 30, "horizon": 4},
            "backtest": {"windows": 30, "step": 2},
            "gate": {"baselines": ["naive", "seasonal_naive"], "coverage": [0.5, 1.0], **gate},
        }
    )


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Arena:
    """Fitted once; no test changes a bundle."""
    job = make_job()
    table = clean(sources.read(job), job.series).table
    cut = folds(table, job)
    fitted = fit_baselines(table, job, cut, tmp_path_factory.mktemp("arena"), origin=Origin())
    return Arena(table, cut, {candidate.name: candidate for candidate in fitted})


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it."""


@pytest.fixture
def judge(registry: Registry, arena: Arena, tmp_path: Path) -> Callable[..., Decision]:
    """Runs `decide` for the run of this key with this challenger; called again with the same key it is a repetition."""

    def call(key: str, challenger: str, **gate: Any) -> Decision:
        job, rivals = make_job(**gate), [arena.candidates[name] for name in RIVALS]
        run = registry.runs.start(job.name, key, {})
        candidates = (arena.candidates[challenger], *(rival for rival in rivals if rival.name != challenger))
        if challenger == "naive":  # it cannot beat itself, and must be refused
            candidates = (Candidate("poor", arena.candidates["naive"].bundles), *rivals)
        return decide(registry, Judging(job, run.run_id, arena.table, arena.folds, candidates, tmp_path / "work" / key))

    return call


def state(registry: Registry) -> list[tuple[int, str, str, str]]:
    """Every version with its aliases, model and verdict, oldest first."""
    table = registry.versions.table("buoy").sort_values("version")
    return [tuple(row) for row in table[["version", "aliases", "model", "verdict"]].itertuples(index=False)]


def test_challenger_that_passes_goes_live(registry: Registry, judge: Callable[..., Decision]) -> None:
    """Beating both naive forecasts with nobody live, the ridge is the champion, and the only version."""
    decision = judge("aa", "ridge")
    assert decision.judgment.verdict.passed, decision.judgment.verdict
    assert (decision.version, decision.promoted, decision.fallback) == (1, "ridge", False)
    assert state(registry) == [(1, "champion", "ridge", "passed")]


def test_refused_challenger_leaves_the_champion(registry: Registry, judge: Callable[..., Decision]) -> None:
    """It is registered with its verdict, for whoever wants to look, and nothing falls back while one is live."""
    judge("aa", "ridge")
    decision = judge("bb", "naive")
    failed = {rule.rule for rule in decision.judgment.verdict.rules if not rule.passed}
    assert {"beats_naive", "beats_champion"} <= failed
    assert (decision.version, decision.promoted, decision.fallback) == (2, None, False)
    assert state(registry) == [(1, "champion", "ridge", "passed"), (2, "challenger", "naive", "refused")]


def test_better_challenger_takes_the_place_of_the_champion(registry: Registry, judge: Callable[..., Decision]) -> None:
    """The live fallback is judged on the same origins, beaten, and becomes previous."""
    judge("aa", "naive")
    live = registry.versions.champion("buoy")
    assert live is not None
    decision = judge("bb", "ridge")
    assert [candidate.name for candidate in decision.judgment.backtests][:2] == ["ridge", "champion"]
    assert decision.promoted == "ridge"
    champion, previous = registry.versions.get("buoy", "champion"), registry.versions.get("buoy", "previous")
    assert (champion.model, previous.version) == ("ridge", live.version)


def test_without_a_champion_the_best_baseline_serves(
    registry: Registry, arena: Arena, judge: Callable[..., Decision], tmp_path: Path
) -> None:
    """It is a bundle like any other, with intervals, and says that it is a fallback."""
    decision = judge("aa", "naive")
    board = decision.judgment.leaderboard.set_index("model")["wql"].drop("poor")
    assert decision.promoted == board.idxmin() == "seasonal_naive"
    assert (decision.version, decision.fallback) == (2, True)
    assert state(registry) == [(1, "", "naive", "refused"), (2, "champion", "seasonal_naive", "fallback")]

    served = open_forecaster(registry.cache.download("buoy", "champion")).forecast(arena.table)
    assert (served["q0.1"] < served["q0.9"]).all()


def test_without_fallback_nothing_goes_live(registry: Registry, judge: Callable[..., Decision]) -> None:
    """`gate.fallback: none` registers the refused challenger and moves no alias but @challenger."""
    decision = judge("aa", "naive", fallback="none")
    assert (decision.version, decision.promoted, decision.fallback) == (1, None, False)
    assert state(registry) == [(1, "challenger", "naive", "refused")]
    assert registry.versions.champion("buoy") is None


def test_what_is_registered_is_what_was_judged(
    registry: Registry, arena: Arena, judge: Callable[..., Decision], tmp_path: Path
) -> None:
    """The verdict names the weights of the registered version; only the residuals are those of all windows since."""
    decision = judge("aa", "ridge")
    fitted = open_bundle(arena.candidates["ridge"].bundles[-1])
    version = registry.versions.get("buoy", decision.version)
    served = open_bundle(registry.cache.download("buoy", decision.version))
    assert decision.judgment.verdict.weights == version.weights == served.manifest.weights == fitted.manifest.weights
    since = arena.folds[-1].fit_until
    renewed = open_bundle(recalibrate(fitted, arena.table, since, tmp_path / "renewed"))
    np.testing.assert_array_equal(served.calibration.residuals, renewed.calibration.residuals)
    assert served.calibration.residuals.shape != fitted.calibration.residuals.shape
    assert version.metrics["wql"] == pytest.approx(
        decision.judgment.leaderboard.set_index("model").loc["ridge", "wql"], rel=1e-9
    )


def die_before(part: type, step: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Kill the process in the place of its first call of a step of the registry."""

    def arrange(patch: pytest.MonkeyPatch) -> None:
        def dying(*_: Any, **__: Any) -> None:
            raise Killed

        patch.setattr(part, step, dying)

    return arrange


def die_after(part: type, step: str, number: int = 1) -> Callable[[pytest.MonkeyPatch], None]:
    """Kill the process right after the n-th call of a step of the registry."""

    def arrange(patch: pytest.MonkeyPatch) -> None:
        original: Callable[..., Any] = getattr(part, step)
        left = [number]

        def dying(*args: Any, **named: Any) -> Any:
            result = original(*args, **named)
            left[0] -= 1
            if not left[0]:
                raise Killed
            return result

        patch.setattr(part, step, dying)

    return arrange


def die_in_the_backtest(patch: pytest.MonkeyPatch) -> None:
    """Kill the process when the opponent is noted and nobody is judged yet."""

    def dying(*_: Any) -> None:
        raise Killed

    patch.setattr(promotion, "judge_challenger", dying)


MOMENTS = {
    "in the backtest": die_in_the_backtest,
    "before registering": die_before(Versions, "register"),
    "after registering": die_after(Versions, "register"),
    "before promoting": die_before(Aliases, "promote"),
    "after promoting": die_after(Aliases, "promote"),
}


@pytest.mark.parametrize(("moment", "champion"), [*((moment, True) for moment in MOMENTS), ("after promoting", False)])
def test_promotion_killed_anywhere_ends_where_it_would_have_ended(
    registry: Registry,
    judge: Callable[..., Decision],
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    champion: bool,
) -> None:
    """Repeated it beats the opponent of then, not itself; one version, and the old champion is still @previous."""
    if champion:
        judge("aa", "naive")
    with monkeypatch.context() as patch:
        MOMENTS[moment](patch)
        with pytest.raises(Killed):
            judge("bb", "ridge")

    decision = judge("bb", "ridge")
    again = judge("bb", "ridge")

    before = [(1, "", "naive", "refused"), (2, "previous", "seasonal_naive", "fallback")] if champion else []
    assert state(registry) == [*before, (len(before) + 1, "champion", "ridge", "passed")]
    names = [candidate.name for candidate in decision.judgment.backtests]
    assert ("champion" in names) == champion
    for each in (decision, again):
        assert (each.version, each.promoted, each.fallback) == (len(before) + 1, "ridge", False)


@pytest.mark.parametrize(
    "moment", [*MOMENTS.values(), die_after(Versions, "register", 2)], ids=[*MOMENTS, "after registering the fallback"]
)
def test_fallback_killed_anywhere_ends_where_it_would_have_ended(
    registry: Registry,
    judge: Callable[..., Decision],
    monkeypatch: pytest.MonkeyPatch,
    moment: Callable[[pytest.MonkeyPatch], None],
) -> None:
    """Repeated after its own fallback went live, the run is not judged against it; two versions, each once."""
    with monkeypatch.context() as patch:
        moment(patch)
        with pytest.raises(Killed):
            judge("aa", "naive")

    decision = judge("aa", "naive")

    assert state(registry) == [(1, "", "naive", "refused"), (2, "champion", "seasonal_naive", "fallback")]
    assert (decision.version, decision.promoted, decision.fallback) == (2, "seasonal_naive", True)
    assert "champion" not in [candidate.name for candidate in decision.judgment.backtests]


def test_what_was_rolled_back_does_not_come_back(registry: Registry, judge: Callable[..., Decision]) -> None:
    """A run went live, a person took it back, the run is repeated: the person's word stands, the verdict too."""
    judge("aa", "naive")
    judge("bb", "ridge")
    registry.aliases.rollback("buoy")

    decision = judge("bb", "ridge")

    assert registry.versions.get("buoy", "champion").model == "seasonal_naive"
    assert (decision.promoted, decision.judgment.verdict.passed) == ("ridge", True)


def test_repeated_run_meets_the_champion_of_now(
    registry: Registry, judge: Callable[..., Decision], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A run that was killed before it was live is judged against whoever went live meanwhile."""
    with monkeypatch.context() as patch:
        die_in_the_backtest(patch)
        with pytest.raises(Killed):
            judge("bb", "naive")
    assert json.loads((tmp_path / "work" / "bb" / "opponent.json").read_text()) is None
    judge("cc", "ridge")

    decision = judge("bb", "naive")

    assert decision.promoted is None
    assert registry.versions.get("buoy", "champion").model == "ridge"
    assert json.loads((tmp_path / "work" / "bb" / "opponent.json").read_text()) == 1


def test_two_decisions_at_once_are_taken_one_after_the_other(
    registry: Registry, judge: Callable[..., Decision], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both find nobody live if they overlap; under the lock the second one meets the first one's champion."""
    inside, overlaps, hold = [0], [], promotion.judge_challenger

    def watched(*args: Any) -> Any:
        inside[0] += 1
        overlaps.append(inside[0])
        judgment = hold(*args)
        inside[0] -= 1
        return judgment

    monkeypatch.setattr(promotion, "judge_challenger", watched)
    decisions: dict[str, Decision] = {}
    threads = [
        threading.Thread(target=lambda key=key, name=name: decisions.update({key: judge(key, name)}))
        for key, name in (("aa", "ridge"), ("bb", "ridge"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert overlaps == [1, 1]
    assert sorted(decision.promoted or "" for decision in decisions.values()) == ["", "ridge"]
    loser = next(decision for decision in decisions.values() if decision.promoted is None)
    assert "champion" in [candidate.name for candidate in loser.judgment.backtests]
    assert [row[1] for row in state(registry)] == ["champion", "challenger"]


RACER = """
import json, sys, time
from pathlib import Path
from forecasting.config.job import parse_job
from forecasting.evaluation.judging import Candidate
from forecasting.lifecycle.promotion import Judging, decide
from forecasting.registry.registry import Registry
from forecasting import sources
from forecasting.series.clean import clean
from forecasting.series.folds import folds

name, place, told = sys.argv[1], Path(sys.argv[2]), json.loads(Path(sys.argv[2], "race.json").read_text())
job = parse_job(told["job"])
table = clean(sources.read(job), job.series).table
registry = Registry(told["uri"], place)
run = registry.runs.start(job.name, name, {})
candidates = tuple(Candidate(candidate, (Path(bundle),)) for candidate, bundle in told["candidates"])
(place / f"{name}-ready").touch()
while not (place / "go").exists():
    time.sleep(0.01)
decision = decide(registry, Judging(job, run.run_id, table, folds(table, job), candidates, place / name))
print(json.dumps([decision.promoted, [candidate.name for candidate in decision.judgment.backtests]]))
"""


def test_two_racing_retrains_bring_one_promotion(registry: Registry, arena: Arena, tmp_path: Path) -> None:
    """Two processes with homes of their own and one folder of locks: one goes live, the other is held against it."""
    order = ("ridge", *RIVALS)
    told = {
        "job": make_job().model_dump(mode="json"),
        "uri": registry.versions.tracking_uri,
        "candidates": [(name, str(arena.candidates[name].bundles[0])) for name in order],
    }
    (tmp_path / "race.json").write_text(json.dumps(told))
    command = [sys.executable, "-c", RACER]
    racers = [
        subprocess.Popen([*command, name, str(tmp_path)], stdout=subprocess.PIPE, text=True) for name in ("one", "two")
    ]
    while not all((tmp_path / f"{name}-ready").exists() for name in ("one", "two")):
        assert all(racer.poll() is None for racer in racers)
        time.sleep(0.05)
    (tmp_path / "go").touch()
    (winner, alone), (loser, against) = sorted(
        (json.loads(racer.communicate()[0].splitlines()[-1]) for racer in racers), key=lambda told: told[0] is None
    )
    assert (winner, loser) == ("ridge", None)
    assert "champion" in against
    assert "champion" not in alone
    assert [row[1] for row in state(registry)] == ["champion", "challenger"]


def test_what_went_live_elsewhere_meanwhile_is_not_run_over(
    registry: Registry, arena: Arena, judge: Callable[..., Decision], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home with locks of its own promotes meanwhile: the verdict is on an old champion, and is void."""
    hold = promotion.judge_challenger

    def late(*args: Any) -> Any:
        judgment = hold(*args)
        monkeypatch.setattr(promotion, "judge_challenger", hold)
        elsewhere = Registry(registry.versions.tracking_uri, tmp_path, tmp_path / "other-locks")
        run = elsewhere.runs.start("buoy", "elsewhere", {})
        bundle = arena.candidates["seasonal_naive"].bundles[0]
        version = elsewhere.versions.register("buoy", run.run_id, bundle, verdict="passed", metrics={})
        elsewhere.aliases.promote("buoy", version)
        return judgment

    monkeypatch.setattr(promotion, "judge_challenger", late)
    with pytest.raises(RegistryError, match=r"went live while this challenger was judged.*GATECAST_LOCKS, and run"):
        judge("aa", "ridge")
    champion = registry.versions.champion("buoy")
    assert champion is not None
    assert champion.model == "seasonal_naive"

    again = judge("aa", "ridge")
    assert (again.promoted, again.judgment.backtests[1].name) == ("ridge", "champion")


def test_a_refusal_that_another_challenger_follows_changes_nothing(
    registry: Registry, arena: Arena, judge: Callable[..., Decision], tmp_path: Path
) -> None:
    """Neither registered nor fallen back from; the next one is judged, with the first on its leaderboard alone."""
    rivals = tuple(arena.candidates[name] for name in RIVALS)
    warm = Candidate("ridge:head", arena.candidates["drift"].bundles)
    run = registry.runs.start("buoy", "aa", {})
    judging = Judging(make_job(), run.run_id, arena.table, arena.folds, (warm, *rivals), tmp_path / "w", again=True)
    decision = decide(registry, judging)
    assert (decision.settled, decision.promoted) == (False, None)
    assert registry.versions.jobs() == []

    second = judging._replace(candidates=(arena.candidates["naive"]._replace(name="poor"), *rivals, warm), again=False)
    decision = decide(registry, second)
    assert decision.settled
    assert "ridge:head" in set(decision.judgment.leaderboard["model"])
    assert decision.promoted == "seasonal_naive"  # not the challenger that lost, however it stands
