"""A contest holds everyone to the same windows, keeps what is already fitted, and names the best baseline."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.artifact import Origin, open_bundle
from forecasting.config.job import Job
from forecasting.config.network import AutoModel, StackedModel
from forecasting.errors import ArtifactError, GatecastError
from forecasting.evaluation.baselines import BASELINES
from forecasting.evaluation.judging import CHAMPION, Candidate, Judgment, as_challenger, fit_baselines, judge_challenger
from forecasting.series.folds import Fold, folds

World = tuple[pd.DataFrame, Job, tuple[Fold, ...]]


@pytest.fixture
def world(make_table: Callable[..., pd.DataFrame], make_job: Callable[..., Job]) -> World:
    """Two seasonal series with little noise: seasonal naive is far better than naive; two fits."""
    draw, time = np.random.default_rng(5), np.arange(120)
    wave = 5 * np.sin(2 * np.pi * time / 8)
    table = make_table({name: level + wave + draw.normal(0, 0.3, 120) for name, level in (("a", 10), ("b", 90))})
    gate = {"baselines": ["naive", "drift"], "coverage": [0.3, 1.0], "max_revision": 9.0}
    job = make_job({"season": 8}, backtest={"windows": 6, "refit": 3}, train={"validation": 20}, gate=gate)
    return table, job, folds(table, job)


def candidates(world: World, directory: Path) -> dict[str, Candidate]:
    """Every baseline, fitted on every fold."""
    return {candidate.name: candidate for candidate in fit_baselines(*world, directory, origin=Origin())}


def contest(world: World, directory: Path, challenger: str, champion: str | None = None) -> Judgment:
    """The challenger against naive and drift, and perhaps a champion."""
    fitted = candidates(world, directory)
    live = fitted[champion].bundles[-1] if champion else None
    rivals = [fitted[name] for name in ("naive", "drift")]
    return judge_challenger(*world, fitted[challenger]._replace(name="challenger"), rivals, live)


def test_every_baseline_is_fitted_on_every_fold(world: World, tmp_path: Path) -> None:
    """In its own folder, in the order of BASELINES."""
    fitted = candidates(world, tmp_path)
    assert list(fitted) == list(BASELINES)
    assert {name: [path.name for path in candidate.bundles] for name, candidate in fitted.items()} == {
        name: [f"{name}-0", f"{name}-1"] for name in BASELINES
    }


def test_what_is_whole_is_kept_and_what_is_damaged_is_fitted_again(world: World, tmp_path: Path) -> None:
    """An interrupted run goes on where it stopped."""
    fitted = candidates(world, tmp_path)
    manifests = {path: (path / "manifest.json").read_bytes() for e in fitted.values() for path in e.bundles}
    damaged = fitted["ridge"].bundles[1]
    (damaged / "model.onnx").write_bytes(b"half a mod")
    candidates(world, tmp_path)
    again = {path for path, content in manifests.items() if (path / "manifest.json").read_bytes() != content}
    assert again == {damaged}


def test_everyone_is_judged_on_the_same_windows(world: World, tmp_path: Path) -> None:
    """Challenger first, then the champion, then the rivals; a champion's one bundle answers for all folds."""
    held = contest(world, tmp_path, "seasonal_naive", champion="ridge")
    assert [one.name for one in held.backtests] == ["challenger", CHAMPION, "naive", "drift"]
    first, *others = (one.scored for one in held.backtests)
    for other in others:
        assert other.unique_id.tolist() == first.unique_id.tolist()
        assert other.cutoff.tolist() == first.cutoff.tolist()
        assert np.array_equal(other.y, first.y)
    assert len(first.y) == 2 * 6
    assert held.of("drift").scored.model == "drift"


def test_the_leaderboard_knows_who_is_better(world: World, tmp_path: Path) -> None:
    """Seasonal naive on seasonal series, by the metric computed here."""
    held = contest(world, tmp_path, "seasonal_naive")
    board = held.leaderboard.set_index("model")
    scored = held.of("naive").scored
    assert board.loc["naive", "mae"] == pytest.approx(np.abs(scored.point - scored.y).mean())
    assert board.loc["challenger", "mae"] < board.loc["naive", "mae"] / 3
    assert len(held.table("series")) == 3 * 2


@pytest.mark.parametrize(("challenger", "passes"), [("seasonal_naive", True), ("drift", False)])
def test_the_verdict_is_on_the_challenger(challenger: str, passes: bool, world: World, tmp_path: Path) -> None:
    """The better one passes, one that is no better than naive is refused; the fallback is the best rival."""
    held = contest(world, tmp_path, challenger)
    assert held.verdict.passed is passes
    board = held.leaderboard.set_index("model")["wql"]
    assert held.fallback == min(("naive", "drift"), key=lambda name: board[name])


def test_a_damaged_champion_is_said_so(world: World, tmp_path: Path) -> None:
    """It is not silently left out."""
    fitted = candidates(world, tmp_path)
    live = fitted["ridge"].bundles[1]
    (live / "conformal.npz").unlink()
    with pytest.raises(ArtifactError, match=r"conformal\.npz: missing"):
        judge_challenger(*world, fitted["seasonal_naive"], [fitted["naive"]], live)


@pytest.mark.parametrize("model", [StackedModel(), AutoModel()], ids=lambda one: one.name)
def test_a_live_model_has_the_residuals_of_a_challenger(
    model: StackedModel | AutoModel, world: World, tmp_path: Path
) -> None:
    """Equal to those of the same model fitted now, by the same job, whatever happened later."""
    table, job, cut = world
    job = job.model_copy(update={"model": model})
    fitted = candidates((table, job, cut), tmp_path)["seasonal_naive"].bundles[0]
    later = table.assign(y=table["y"].mask(table["ds"] > cut[0].seen_until, 1e6))
    live = as_challenger(fitted, later, job, cut[0], tmp_path / "live")
    expected, given = open_bundle(fitted), open_bundle(live)
    np.testing.assert_allclose(given.calibration.residuals, expected.calibration.residuals, atol=1e-5)
    assert given.manifest.weights == expected.manifest.weights


def test_a_challenger_that_knows_what_it_is_judged_on_gets_no_verdict(world: World, tmp_path: Path) -> None:
    """A bundle says until when it has learned; one reading after its fold is one too many, wherever the champion is."""
    table, job, cut = world
    fold = cut[0]
    told = {"fit_until": fold.fit_until, "seen_until": fold.seen_until}
    honest, late = (
        fit_baselines(table, job, [fold], tmp_path / name, origin=Origin(**told | {"seen_until": seen}))
        for name, seen in (("honest", fold.seen_until), ("late", fold.seen_until + pd.Timedelta(hours=1)))
    )
    judge_challenger(table, job, [fold], honest[1], honest, late[3].bundles[0])
    with pytest.raises(
        GatecastError, match=r"seasonal_naive knows readings up to .* cannot be judged on forecasts from"
    ):
        judge_challenger(table, job, [fold], late[1], honest, None)
