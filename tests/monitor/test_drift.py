"""Drift against loops and closed forms, and on series that have none."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import lfilter
from scipy.stats import cramervonmises_2samp, norm

from forecasting.monitor import drift
from forecasting.monitor.drift import find_drift

Floats = npt.NDArray[np.float64]
ROWS, RECENT = 600, 50


def autoregressive(rng: np.random.Generator, rows: int, phi: float = 0.5, *, season: int = 1) -> Floats:
    """AR(1) of standard deviation 1 around a season."""
    noise = rng.normal(size=rows + 100)
    series: Floats = lfilter([np.sqrt(1 - phi**2)], [1, -phi], noise)[100:]
    return series + (3 * np.sin(2 * np.pi * np.arange(rows) / season) if season > 1 else 0.0)


def test_autoregression_is_that_of_the_normal_equations() -> None:
    """Levinson's recursion solves the Toeplitz system; the order is that of the process."""
    series = lfilter([1], [1, -0.6, 0.3], np.random.default_rng(1).normal(size=4000))
    weights = drift._whitener(series - series.mean())
    assert len(weights) == 3
    r = drift._autocovariances(series - series.mean(), 2)
    phi = np.linalg.solve(np.array([[r[0], r[1]], [r[1], r[0]]]), r[1:])
    np.testing.assert_allclose(weights, [1, *-phi], rtol=1e-9)
    np.testing.assert_allclose(phi, [0.6, -0.3], atol=0.05)


def test_scan_is_the_likelihood_ratio_of_a_step() -> None:
    """For every onset: the regression of what was whitened on what a step leaves there, over its standard error."""
    draw = np.random.default_rng(2)
    stretch, weights = draw.normal(size=(1, 30)), np.array([1, -0.5, 0.2])
    stretch[0, 12] = np.nan
    found = drift._scan(stretch, weights)[0]
    assert len(found) == 30 - drift.SHORTEST + 1
    for onset in range(len(found)):
        step = (np.arange(30) >= onset).astype(float)
        left = np.convolve(step, weights)[:30]
        known = ~np.isnan(stretch[0])
        expected = left[known] @ stretch[0][known] / np.sqrt(left[known] @ left[known])
        assert found[onset] == pytest.approx(expected)


def test_distance_orders_samples_as_the_two_sample_statistic_does() -> None:
    """The Cramér distance on a grid of levels goes with that of SciPy on all of them."""
    draw = np.random.default_rng(3)
    reference = draw.normal(size=2000)
    stretches = draw.normal(np.linspace(0, 1, 40)[:, None], np.linspace(1, 2, 40)[:, None], (40, 60))
    ours = drift._distance(stretches, reference)
    theirs = [cramervonmises_2samp(stretch, reference).statistic for stretch in stretches]
    assert np.corrcoef(ours**3, theirs)[0, 1] > 0.98


def test_scores_are_normal_quantiles_of_ranks() -> None:
    """Of the reference itself they are a normal sample, whatever its distribution; beyond it they stay finite."""
    values = np.exp(3 * np.random.default_rng(4).normal(size=500))
    scores = drift._normal_scores(np.append(values, [1e30, -1e30, np.nan]), 500)
    np.testing.assert_allclose(np.sort(scores[:500]), norm.ppf((np.arange(500) + 0.5) / 500))
    assert np.isfinite(scores[500:502]).all()
    assert np.isnan(scores[502])


def test_season_of_the_reference_is_taken_away() -> None:
    """Each row less the mean of the others of its phase; recent rows less the mean of all of them."""
    series = autoregressive(np.random.default_rng(5), 50, season=4)
    series[9] = np.nan
    flat = drift._deseasonalized(series, 40, 4)
    others = [row for row in range(1, 40, 4) if row not in (5, 9)]
    assert flat[5] == pytest.approx(series[5] - series[others].mean())
    assert flat[45] == pytest.approx(series[45] - series[[*others, 5]].mean())
    assert np.isnan(flat[9])


def test_draws_are_blocks_of_the_reference() -> None:
    """Nothing recent is drawn; blocks run on, and begin in the phase of the recent rows where seasons are kept."""
    draws = drift._draws(600, 620, 700, 12)
    assert draws.shape == (3999, 80)
    assert draws.min() >= 0
    assert draws.max() < 600
    assert (np.diff(draws[:, :12], axis=1) == 1).all()
    assert (draws[:, ::12] % 12 == 620 % 12).all()


@pytest.mark.parametrize("season", [1, 24])
@pytest.mark.parametrize("phi", [0.0, 0.5])
def test_stationary_series_rarely_alarm(phi: float, season: int) -> None:
    """Of 80 looks, at the level of one in twenty: no more than chance allows (a binomial's 99.9 % quantile)."""
    rng = np.random.default_rng(6)
    alarms = np.zeros(2)
    for _ in range(80):
        found = find_drift(autoregressive(rng, ROWS + RECENT, phi, season=season)[:, None], ROWS, season=season)
        alarms += np.array([found.mean_shift.chance, found.shape.chance]) <= 0.05
    assert (alarms <= 12).all()
    assert alarms.sum() > 0  # a test that never alarms is none


@pytest.mark.parametrize("season", [1, 24])
def test_shift_by_one_deviation_is_found_and_dated(season: int) -> None:
    """Most of 20 shifts, at the default level, within a few rows of where they begin."""
    rng = np.random.default_rng(7)
    found = []
    for _ in range(20):
        series = autoregressive(rng, ROWS + RECENT, 0.2, season=season)
        series[ROWS + 10 :] += 1.5
        found.append(find_drift(series[:, None], ROWS, season=season).mean_shift)
    assert np.mean([one.chance <= 0.0025 for one in found]) >= 0.8
    assert abs(np.median([one.onset for one in found]) - (ROWS + 10)) <= 3
    assert np.median([one.size for one in found]) == pytest.approx(1.5, abs=0.3)


def test_wider_noise_is_found_by_its_shape() -> None:
    """Twice the noise at the same level; the size is how many times as wide."""
    series = np.random.default_rng(8).normal(size=ROWS + 100)
    series[ROWS:] *= 2
    found = find_drift(series[:, None], ROWS, season=1)
    assert found.shape.chance <= 0.0025
    assert found.shape.size == pytest.approx(2, abs=0.3)
    assert found.mean_shift.chance > 0.0025


@pytest.mark.parametrize("make", [np.cumsum, lambda noise: np.cumsum(noise) + np.arange(len(noise)) / 5])
def test_random_walk_may_wander(make: Callable[[Floats], Floats]) -> None:
    """Its level never comes back, with or without a trend: that is how it was before."""
    rng = np.random.default_rng(9)
    alarms = [
        find_drift(make(rng.normal(size=1100))[:, None], 1000, season=24).mean_shift.chance <= 0.005 for _ in range(20)
    ]
    assert sum(alarms) <= 2


def test_column_that_moves_is_named() -> None:
    """Among quiet ones, with gaps; one look at all of them has the chance of one."""
    draw = np.random.default_rng(10)
    values = draw.normal(size=(ROWS + RECENT, 6))
    values[ROWS:, 4] -= 1.5
    values[draw.random(values.shape) < 0.2] = np.nan
    found = find_drift(values, ROWS, season=1)
    assert (found.mean_shift.column, found.mean_shift.chance <= 0.0025) == (4, True)
    assert found.mean_shift.size == pytest.approx(-1.5, abs=0.4)


def test_scale_and_place_do_not_matter() -> None:
    """Units, a constant, and the reference's rows beyond what is looked at leave the figures as they are."""
    values = np.random.default_rng(11).normal(size=(ROWS + RECENT, 2))
    one, other = find_drift(values, ROWS, season=24), find_drift(1e6 * values + 7, ROWS, season=24)
    assert (one.mean_shift.chance, one.shape.chance) == (other.mean_shift.chance, other.shape.chance)
    assert one.mean_shift.onset == other.mean_shift.onset


def test_constant_columns_alarm_only_where_they_change() -> None:
    """Nothing varies, nothing is seen; then a valve opens."""
    values = np.zeros((ROWS + RECENT, 1))
    assert find_drift(values, ROWS, season=1).mean_shift.chance == 1.0
    values[ROWS + 20 :] = 1.0
    assert find_drift(values, ROWS, season=1).mean_shift.chance <= 0.0025


def test_latest_rows_are_judged_by_the_whole_past() -> None:
    """Rows between the reference and the latest ones are history, not evidence: a shift that ended there is none."""
    values = np.random.default_rng(12).normal(size=(900, 1))
    values[600:700] += 3
    assert find_drift(values, 600, season=1).shape.chance <= 0.0025
    found = find_drift(values, 600, season=1, latest=100)
    assert found.mean_shift.onset >= 800
    assert min(found.mean_shift.chance, found.shape.chance) > 0.0025


def test_fewer_recent_rows_than_the_autoregression_reaches_are_judged() -> None:
    """A long memory of the reference does not keep a short stretch from being looked at."""
    random = np.random.default_rng(5)
    noise = random.normal(size=2010)
    values = noise.copy()
    values[25:] += 0.9 * noise[:-25]
    found = find_drift(values[:, None], 2000, season=1)
    assert 0 < found.mean_shift.chance <= 1
    values[2000:] += 10
    assert find_drift(values[:, None], 2000, season=1).mean_shift.chance < 0.001
