"""Rolling origins against a loop over dates, scales by hand, and forecasts joined by key."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.artifact import Origin
from forecasting.bundle.forecaster import open_forecaster
from forecasting.bundle.forecasts import QuantileForecasts
from forecasting.config.job import Job
from forecasting.errors import DataError, GatecastError
from forecasting.evaluation import baselines
from forecasting.evaluation.backtest import Origins, backtest, check_primary, find_origins, score
from forecasting.series.clean import clean
from forecasting.series.folds import Fold, folds
from forecasting.series.prepare import prepare

Tables = Callable[..., pd.DataFrame]
Jobs = Callable[..., Job]
HOUR = pd.Timedelta(1, "h")


def origins_of(table: pd.DataFrame, job: Job) -> tuple[Origins, pd.DataFrame, tuple[Fold, ...]]:
    """The origins of a raw table, that table clean, and its folds."""
    cleaned = clean(table, job.series).table
    cut = folds(cleaned, job)
    return find_origins(cleaned, job, cut), cleaned, cut


def test_origins_are_those_of_a_plain_loop(rich: tuple[pd.DataFrame, Job]) -> None:
    """Every series, every cutoff: half of the context read, something to judge by, the horizon within the series."""
    table, job = rich
    table = table.drop(table[(table["unique_id"] == "a") & table["ds"].between("2024-01-06 12", "2024-01-06 23")].index)
    origins, cleaned, cut = origins_of(table, job)
    expected = {}
    for cutoff in cut[0].cutoffs:
        for name, own in cleaned.set_index("ds").groupby("unique_id"):
            y = own["y"].asfreq("h")
            context = [y.get(cutoff - k * HOUR, np.nan) for k in range(6)]
            ahead = [y.get(cutoff + h * HOUR, np.nan) for h in (1, 2, 3)]
            if np.isfinite(context).mean() >= 0.5 and np.isfinite(ahead).any() and y.index[-1] >= cutoff + 3 * HOUR:
                expected[name, cutoff] = ahead
    found = dict(zip(origins.keys, origins.y.tolist(), strict=True))
    assert 0 < len(expected) < 2 * 6
    assert found.keys() == expected.keys()
    for key, ahead in expected.items():
        np.testing.assert_array_equal(found[key], ahead)


def test_actuals_keep_their_precision(make_table: Tables, make_job: Jobs) -> None:
    """A counter beyond 16 million, whose units float32 no longer knows, is judged to its last digit."""
    job = make_job(backtest={"windows": 4}, train={"validation": 10})
    origins, _, _ = origins_of(make_table({"z": np.ones(60), "a": 1e9 + np.arange(60) + 0.25}), job)
    assert origins.y[origins.unique_id == "a"][-1].tolist() == [1e9 + 57.25, 1e9 + 58.25, 1e9 + 59.25]


def test_what_fills_a_gap_is_no_actual(make_table: Tables, make_job: Jobs) -> None:
    """Readings carried forward may be read by a model, but nobody is judged by them."""
    y = np.arange(60.0)
    y[[52, 53]] = np.nan
    job = make_job({"gaps": "fill"}, backtest={"windows": 10}, train={"validation": 10})
    origins, _, _ = origins_of(make_table({"a": y}), job)
    at_51 = origins.y[list(origins.cutoff).index(np.datetime64("2024-01-03T03:00"))]
    np.testing.assert_array_equal(at_51, [np.nan, np.nan, 54.0])


def test_scales_are_seasonal_differences_before_the_first_cutoff(make_table: Tables, make_job: Jobs) -> None:
    """By hand: differences over two steps are 2, 2, 5, none where a reading is missing; later ones do not count."""
    job = make_job({"season": 2}, window={"context": 2, "horizon": 1}, backtest={"windows": 1}, train={"validation": 1})
    short, constant = [1, 1, 3, 3, 8, np.nan, np.nan, 9, 1000], [4.0] * 9
    origins, _, _ = origins_of(make_table({"a": short, "b": constant}), job)
    # before the cutoff at row 7: 3 - 1, 3 - 1, 8 - 3; rows 5 and 6 are missing, row 7 has none two steps before
    assert origins.unique_id.tolist() == ["a", "b"]
    assert origins.scale.tolist() == [3.0, 0.0]
    assert origins.squared_scale.tolist() == [11.0, 0.0]


def test_later_readings_change_no_scale(rich: tuple[pd.DataFrame, Job]) -> None:
    """Nothing after the first cutoff is used to weigh errors, earlier readings are."""
    table, job = rich
    before, cleaned, cut = origins_of(table, job)
    changed = cleaned.copy()
    changed.loc[changed["ds"] > cut[0].cutoffs[0], "y"] *= -7
    assert find_origins(changed, job, cut).scale.tolist() == before.scale.tolist()
    changed.loc[changed["ds"] <= cut[0].cutoffs[0], "y"] *= 2
    assert find_origins(changed, job, cut).scale == pytest.approx(2 * before.scale)


def test_no_origin_at_all_is_refused(make_table: Tables, make_job: Jobs) -> None:
    """Every second reading is missing, and a context must be whole."""
    window = {"context": 8, "horizon": 1, "min_observed": 1.0}
    job = make_job(window=window, backtest={"windows": 3}, train={"validation": 3})
    table = make_table({"a": np.where(np.arange(60) % 2 == 1, 1.0, np.nan)})
    with pytest.raises(DataError, match=r"at none of the 3 cutoffs does a series have 100% of its context of 8 steps"):
        origins_of(table, job)


def forecasts_of(origins: Origins, order: np.ndarray) -> QuantileForecasts:
    """Forecasts of the origins in another order; each value is its window's number."""
    values = np.arange(len(origins.y), dtype=float)[order, None, None] * np.ones((1, 3, 3))
    ds = np.zeros((len(order), 3), dtype="datetime64[us]")
    return QuantileForecasts(origins.unique_id[order], origins.cutoff[order], ds, values, (0.1, 0.5, 0.9))


def test_score_joins_by_series_and_cutoff(rich: tuple[pd.DataFrame, Job]) -> None:
    """Forecasts in any order, in several parts and with windows that nobody asked for."""
    origins, _, _ = origins_of(*rich)
    order = np.random.default_rng(0).permutation(len(origins.y))
    extra = forecasts_of(origins, order[:1])._replace(unique_id=np.array(["stranger"], dtype=object))
    parts = [forecasts_of(origins, order[:5]), extra, forecasts_of(origins, order[5:])]
    scored = score(origins, parts, "model")
    assert scored.point[:, 0].tolist() == list(range(len(origins.y)))
    assert np.array_equal(scored.y, origins.y, equal_nan=True)
    assert scored.scale.tolist() == origins.scale.tolist()


def test_a_missing_forecast_is_an_error_that_names_it(rich: tuple[pd.DataFrame, Job]) -> None:
    """A model that leaves out windows cannot look better by it."""
    origins, _, _ = origins_of(*rich)
    order = np.delete(np.arange(len(origins.y)), [3, 4])
    name, cutoff = origins.keys[3]
    with pytest.raises(GatecastError, match=f"model made no forecast for 2 .*{name}.*{cutoff}"):
        score(origins, [forecasts_of(origins, order)], "model")


def test_models_of_different_context_are_judged_on_the_same_windows(
    rich: tuple[pd.DataFrame, Job], tmp_path: Path
) -> None:
    """Naive reads 6 steps, seasonal naive 8: the same keys, actuals and scales; a model's latest weights are named."""
    table, job = rich
    origins, cleaned, cut = origins_of(table, job)
    data = prepare(cleaned, job, cut[0])
    judged = {}
    for name in ("naive", "seasonal_naive", "ridge"):
        path = baselines.fit(name, data, job, tmp_path / name, origin=Origin())
        judged[name] = backtest(cleaned, origins, [path], name)
        assert judged[name].weights == open_forecaster(path).bundle.manifest.weights
        sizes = sum(file.stat().st_size for file in path.iterdir() if file.name != "manifest.json")
        assert judged[name].size_mb == pytest.approx(sizes / 1e6)
    first = judged["naive"].scored
    for other in judged.values():
        assert other.scored.unique_id.tolist() == first.unique_id.tolist()
        assert other.scored.cutoff.tolist() == first.cutoff.tolist()
        assert np.array_equal(other.scored.y, first.y, equal_nan=True)
        assert np.isfinite(other.scored.forecast).all()
    assert not np.array_equal(judged["seasonal_naive"].scored.forecast, first.forecast)


def test_each_fold_is_judged_by_its_own_forecaster(make_table: Tables, make_job: Jobs, tmp_path: Path) -> None:
    """With a new fit after every two cutoffs, forecasts at a cutoff come from the model of that fold."""
    job = make_job(backtest={"windows": 4, "refit": 2}, train={"validation": 10})
    origins, cleaned, cut = origins_of(make_table({"a": np.random.default_rng(3).normal(size=90).cumsum()}), job)
    paths = [
        baselines.fit(name, prepare(cleaned, job, fold), job, tmp_path / name, origin=Origin())
        for name, fold in zip(("naive", "drift"), cut, strict=True)
    ]
    naive, drift = (open_forecaster(path) for path in paths)
    scored = backtest(cleaned, origins, paths, "both").scored
    expected = [naive.at(cleaned, cut[0].cutoffs).values, drift.at(cleaned, cut[1].cutoffs).values]
    assert np.array_equal(scored.forecast, np.concatenate(expected))
    alone = backtest(cleaned, origins, paths[:1], "naive").scored
    assert np.array_equal(alone.forecast, naive.at(cleaned, cut[0].cutoffs.append(cut[1].cutoffs)).values)


def test_a_model_of_another_horizon_or_other_quantiles_is_judged_on_what_is_asked(
    make_table: Tables, make_job: Jobs, tmp_path: Path
) -> None:
    """Too short a horizon is refused, of a longer one the first steps count; quantiles are those of the job."""
    table = make_table({"a": np.random.default_rng(3).normal(size=90).cumsum()})
    jobs = {h: make_job(window={"context": 6, "horizon": h}, backtest={"windows": 4}) for h in (2, 3, 4)}
    paths = {}
    for horizon, job in jobs.items():
        _, cleaned, cut = origins_of(table, job)
        where = tmp_path / str(horizon)
        paths[horizon] = baselines.fit("drift", prepare(cleaned, job, cut[0]), job, where, origin=Origin())
    asked = make_job(window={"context": 6, "horizon": 3}, backtest={"windows": 4}, forecast={"levels": [50]})
    origins, cleaned, _ = origins_of(table, asked)
    with pytest.raises(GatecastError, match="drift forecasts 2 steps ahead, but the job needs 3"):
        backtest(cleaned, origins, [paths[2]], "drift")
    same, longer = (backtest(cleaned, origins, [paths[h]], "drift").scored for h in (3, 4))
    assert same.quantiles == longer.quantiles == (0.1, 0.25, 0.5, 0.75, 0.9)
    assert longer.point == pytest.approx(same.point, abs=1e-4)


def test_actuals_of_zero_are_refused_before_anything_is_trained(make_table: Tables, make_job: Jobs) -> None:
    """Where nothing was sold in the whole backtest, wql divides by nothing: one sentence, and mae goes."""
    readings = make_table({"a": [*range(1, 61), *[0.0] * 40]})
    for primary, refused in {"wql": "all actuals of the backtest are 0; set gate.primary: mae", "mae": ""}.items():
        job = make_job(backtest={"windows": 4}, gate={"primary": primary})
        table = clean(readings, job.series).table
        if refused:
            with pytest.raises(DataError, match=f"{primary} cannot be measured .*{refused}"):
                check_primary(table, job, folds(table, job))
        else:
            check_primary(table, job, folds(table, job))


def test_series_that_never_changed_have_no_scaled_error(make_table: Tables, make_job: Jobs) -> None:
    """MASE divides by how much a series changed before the backtest."""
    job = make_job(backtest={"windows": 4}, gate={"primary": "mase"})
    table = clean(make_table({"a": [*[5.0] * 94, *range(6)]}), job.series).table
    with pytest.raises(DataError, match=r"mase cannot be measured .* no series changes before it"):
        check_primary(table, job, folds(table, job))
