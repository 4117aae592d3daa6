"""Rivals and tables of others on the same cutoffs: as good as their packages make them, blind, and never live."""

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.artifact import Origin
from forecasting.config.job import Job
from forecasting.errors import ConfigError, DataError
from forecasting.evaluation import rivals
from forecasting.evaluation.backtest import Origins, find_origins, scored_as
from forecasting.evaluation.external import backtest_file
from forecasting.evaluation.gate import Backtested
from forecasting.evaluation.judging import Candidate, fit_baselines, judge_challenger, noted
from forecasting.evaluation.metrics import METRICS, value
from forecasting.evaluation.problem import problem_of
from forecasting.evaluation.rivals import LEAKY, RIVALS, backtest_rivals
from forecasting.evaluation.zero_shot import between
from forecasting.series.folds import Fold, folds

World = tuple[pd.DataFrame, Job, tuple[Fold, ...]]

PACKAGES = ("statsforecast", "mlforecast", "lightgbm")
installed = pytest.mark.skipif(
    any(find_spec(name) is None for name in PACKAGES), reason="install gatecast[rivals] to judge rivals"
)


@pytest.fixture
def world(make_table: Callable[..., pd.DataFrame], make_job: Callable[..., Job]) -> World:
    """Two seasonal series, one of them with gaps, which end apart."""
    draw = np.random.default_rng(5)
    waves = {
        name: level + 5 * np.sin(2 * np.pi * np.arange(length) / 8) + draw.normal(0, 0.5, length)
        for name, level, length in (("a", 10, 160), ("b", 90, 150))
    }
    waves["b"][40:43] = np.nan
    table = make_table(waves)
    job = make_job({"season": 8}, backtest={"windows": 4, "refit": 2, "cutoffs": "each"}, train={"validation": 20})
    return table, job, folds(table, job)


zero_shot = pytest.mark.skipif(find_spec("fracast") is None, reason="install fracast to judge it")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=zero_shot if name in LEAKY else installed) for name in RIVALS]
)
def test_a_rival_knows_the_season_and_nothing_of_the_future(name: str, world: World) -> None:
    """Far better than naive; other readings after the own first cutoff of each series change no forecast from it."""
    table, job, cut = world
    (found,) = backtest_rivals([name], table, job, cut)
    naive = np.array([[table[table["ds"] == c].set_index("unique_id")["y"][u]] * 3 for u, c in _keys(found)])
    assert found.name == name
    assert value(found.scored, METRICS["mae"]) < 0.5 * np.abs(naive - found.scored.y).mean()
    assert (np.diff(found.scored.forecast, axis=2) >= 0).all()
    assert 0.4 <= value(found.scored, METRICS["coverage"]) <= 1
    first = table["unique_id"].map(cut[0].moments[0])
    other = table.assign(y=table["y"].mask(table["ds"] > first, 500.0))
    (again,) = backtest_rivals([name], other, job, cut)
    at_first = found.scored.cutoff == pd.Series(cut[0].moments[0]).reindex(found.scored.unique_id).to_numpy()
    assert at_first.sum() == 2
    np.testing.assert_array_equal(found.scored.forecast[at_first], again.scored.forecast[at_first])
    assert not np.array_equal(found.scored.forecast[~at_first], again.scored.forecast[~at_first])


def _keys(found: Backtested) -> list[tuple[str, Any]]:
    return list(zip(found.scored.unique_id, found.scored.cutoff, strict=True))


@installed
@pytest.mark.parametrize(("name", "model"), [("ets", "AutoETS"), ("theta", "DynamicOptimizedTheta"), ("mstl", "MSTL")])
def test_a_classical_rival_is_that_of_its_package(name: str, model: str, world: World) -> None:
    """At the first cutoff of a fold, median and bounds are those that the package gives for the same history."""
    from statsforecast import models

    table, job, cut = world
    (found,) = backtest_rivals([name], table, job, cut)
    y = table[(table["unique_id"] == "a") & (table["ds"] <= cut[0].cutoffs[0])]["y"].to_numpy()
    expected = getattr(models, model)(season_length=8).forecast(y=y, h=3, level=[80])
    row = _keys(found).index(("a", cut[0].cutoffs[0].to_datetime64()))
    made = dict(zip(found.scored.quantiles, found.scored.forecast[row].T, strict=True))
    np.testing.assert_allclose(made[0.5], expected["mean"], rtol=1e-3)
    np.testing.assert_allclose(made[0.1], expected["lo-80"], rtol=1e-2)
    np.testing.assert_allclose(made[0.9], expected["hi-80"], rtol=1e-2)


@zero_shot
def test_fracast_reads_gaps_as_gaps_and_gives_its_own_deciles(world: World) -> None:
    """As its package does with the whole history, NaN where nothing was read."""
    from fracast import FracastModel

    table, job, cut = world
    (found,) = backtest_rivals(["fracast"], table, job, cut)
    last = found.scored.cutoff[found.scored.unique_id == "b"].max()
    y = table[(table["unique_id"] == "b") & (table["ds"] <= last)]["y"].to_numpy()
    assert np.isnan(y).sum() == 3
    deciles = FracastModel.from_pretrained(weights="fp32").forecast(y, horizon=3)
    made = found.scored.forecast[_keys(found).index(("b", last))]
    for quantile in (0.1, 0.5, 0.9):
        expected = deciles[:, round(quantile * 10) - 1]
        np.testing.assert_allclose(made[:, found.scored.quantiles.index(quantile)], expected, rtol=1e-4)


def test_a_quantile_between_deciles_lies_on_their_line() -> None:
    """And beyond the outer ones on the line that leads there."""
    values = np.array([[[1.0, 2.0, 4.0]]])
    made = between(np.array([0.1, 0.2, 0.3]), values, np.array([0.05, 0.1, 0.25, 0.3, 0.4]))
    np.testing.assert_allclose(made, [[[0.5, 1.0, 3.0, 4.0, 6.0]]])


def test_what_may_have_been_seen_is_noted(world: World, ridge: Backtested) -> None:
    """The leaderboard tells an upper reference from other models that cannot go live."""
    board = pd.DataFrame({"model": ["ridge", "ets", "fracast"]})
    beside = [ridge, *(replace(ridge, name=name, weights="") for name in ("ets", "fracast"))]
    assert noted(board, beside)["note"].tolist() == [
        "",
        "cannot go live",
        "cannot go live, may have seen these readings",
    ]


@installed
def test_seasons_that_a_method_cannot_have_are_left_out() -> None:
    """None at all for MSTL, and one of 288 steps for exponential smoothing, which would take minutes."""
    assert type(rivals.mstl(1)) is type(rivals.ets(1))
    assert [rivals.ets(season).season_length for season in (24, 60, 288)] == [24, 60, 1]


def test_missing_packages_are_named_before_anything_is_fitted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the extra that brings them."""
    monkeypatch.setattr(rivals, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"lightgbm, mlforecast, statsforecast: install gatecast\[rivals\]"):
        backtest_rivals(["theta", "lightgbm"], *world)
    with pytest.raises(ConfigError, match="needs fracast: install fracast"):
        backtest_rivals(["fracast"], *world)
    assert backtest_rivals([], *world) == []


def test_rivals_are_for_single_series_of_numbers(make_job: Callable[..., Job]) -> None:
    """A layout has none, and an unknown name lists the known ones."""
    with pytest.raises(ConfigError, match=r"backtest\.rivals: they forecast single series"):
        make_job({"layout": "line"}, backtest={"rivals": ["ets"]})
    with pytest.raises(ConfigError, match="theta, ets, mstl, lightgbm, fracast"):
        make_job(backtest={"rivals": ["arima"]})


@pytest.fixture
def ridge(world: World, tmp_path: Path) -> Backtested:
    """The backtest of a ridge."""
    table, job, cut = world
    fitted = {each.name: each for each in fit_baselines(*world, tmp_path / "fits", origin=Origin())}
    return problem_of(job).backtester(table, job, cut)(fitted["ridge"].bundles, "ridge")


def long_table(one: Backtested, names: dict[float, str]) -> pd.DataFrame:
    """A backtest as a long table: one row per stamp, quantiles under the given names."""
    scored = one.scored
    horizon = scored.y.shape[1]
    hours = np.tile(np.arange(1, horizon + 1), len(scored.y)).astype("timedelta64[h]")
    cutoff = np.repeat(scored.cutoff, horizon)
    values = {
        column: scored.forecast[:, :, scored.quantiles.index(quantile)].ravel() for quantile, column in names.items()
    }
    keys = {"unique_id": np.repeat(scored.unique_id, horizon), "ds": cutoff + hours, "cutoff": cutoff}
    return pd.DataFrame({**keys, **values}).sample(frac=1, random_state=1)


def origins_of(world: World) -> Origins:
    """What everyone is judged on."""
    return find_origins(*world)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_of_quantiles_is_scored_like_the_model_that_wrote_it(
    kind: str, world: World, ridge: Backtested, tmp_path: Path
) -> None:
    """Every metric is the same, whatever the order of the rows; the file names the model."""
    path = tmp_path / f"foundation.{kind}"
    table = long_table(ridge, {q: f"q{q:g}" for q in ridge.scored.quantiles})
    table.to_csv(path, index=False) if kind == "csv" else table.to_parquet(path)
    (found,) = backtest_file(path, origins_of(world), world[1])
    assert found.name == "foundation"
    for name, metric in METRICS.items():
        assert value(found.scored, metric) == pytest.approx(value(ridge.scored, metric), rel=1e-6), name


def test_a_file_of_several_models_with_bounds(world: World, ridge: Backtested, tmp_path: Path) -> None:
    """The columns of Nixtla's cross-validation; a model without bounds is judged by its point forecast."""
    names = {q: f"x-{'lo' if q < 0.5 else 'hi'}-{round(100 * abs(1 - 2 * q))}" for q in ridge.scored.quantiles}
    table = long_table(ridge, names | {0.5: "x"}).assign(y=1.0, point=lambda rows: rows["x"])
    table.to_csv(tmp_path / "cv.csv", index=False)
    whole, point = backtest_file(tmp_path / "cv.csv", origins_of(world), world[1])
    assert [whole.name, point.name] == ["x", "point"]
    assert value(whole.scored, METRICS["wql"]) == pytest.approx(value(ridge.scored, METRICS["wql"]))
    assert point.scored.quantiles == (0.5,)
    assert value(point.scored, METRICS["mae"]) == pytest.approx(value(ridge.scored, METRICS["mae"]))


def test_what_a_file_lacks_is_named(world: World, ridge: Backtested, tmp_path: Path) -> None:
    """A forecast, a column, a second one of the same stamp, or any forecast at all."""
    path, origins, job = tmp_path / "one.csv", origins_of(world), world[1]
    table = long_table(ridge, {0.5: "one"}).sort_values(["unique_id", "cutoff", "ds"])
    for broken, message in (
        (table.iloc[1:], r"one lacks 1 of 24 forecasts, the first is that of a at "),
        (table.drop(columns="cutoff"), "lacks cutoff; it has unique_id, ds, one"),
        (pd.concat([table, table.head(1)]), "more than once"),
        (table.drop(columns="one"), "holds no forecast"),
        (table.assign(ds="soon"), "cannot read the forecasts"),
        (table.rename(columns={"one": "q0.9"}), "has no median"),
    ):
        broken.to_csv(path, index=False)
        with pytest.raises(DataError, match=message):
            backtest_file(path, origins, job)
    with pytest.raises(DataError, match="cannot read"):
        backtest_file(tmp_path / "none.csv", origins, job)


def test_a_perfect_model_without_a_bundle_never_goes_live(world: World, tmp_path: Path) -> None:
    """It stands on the leaderboard with a note, and changes neither the verdict nor who serves in its place."""
    table, job, cut = world
    fitted = {each.name: each for each in fit_baselines(*world, tmp_path / "fits", origin=Origin())}
    origins = origins_of(world)
    oracle = np.repeat(origins.y[:, :, None], len(origins.quantiles), axis=2)
    perfect = Backtested("oracle", scored_as(origins, oracle, origins.quantiles, "oracle"), 0.1, 0.1, weights="")
    challenger = Candidate("challenger", fitted["drift"].bundles)
    held = [
        judge_challenger(table, job, cut, challenger, [*fitted.values()], None, beside) for beside in ((), (perfect,))
    ]
    said = [{rule.sentence for rule in one.verdict.rules if rule.rule != "latency"} for one in held]
    assert said[0] == said[1]
    assert held[0].fallback == held[1].fallback
    notes = held[1].standings.set_index("model")["note"]
    assert notes[notes != ""].to_dict() == {"oracle": "cannot go live"}
    assert "note" not in held[0].standings
