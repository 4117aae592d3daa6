"""Split-conformal calibration keeps its promise: nominal coverage on exchangeable data, step by step."""

import numpy as np
import pytest

from forecasting.bundle.calibration import Calibration
from forecasting.bundle.conformal import LEAST, calibrate
from forecasting.errors import GatecastError

STEPS = 4000  # each step is calibrated by itself, so independent steps are independent repetitions


def share_below(quantile: float, base_quantiles: tuple[float, ...], base: np.ndarray, y: np.ndarray) -> float:
    """Calibrate on all windows but the last and return the share of its actuals below the wanted quantile."""
    calibration = calibrate(y[:-1], base[:-1], base_quantiles)
    return float((y[-1] <= calibration.apply(base[-1:], (quantile,))[0, :, 0]).mean())


@pytest.mark.parametrize("quantile", [0.05, 0.1, 0.25, 0.75, 0.9, 0.95])
def test_point_forecast_gets_nominal_quantiles(quantile: float) -> None:
    """Nineteen residuals of a skewed, unscaled error: the next actual is below with probability k / 20."""
    random = np.random.default_rng(7)
    base = random.normal(size=(20, STEPS, 1)) * 5
    y = base[..., 0] + random.gamma(1.0, size=(20, STEPS)) * np.linspace(0.1, 9, STEPS) - np.linspace(0.0, 5, STEPS)
    if quantile < 0.5:
        y -= 10  # keeps lower quantiles below the base median, which they would otherwise be clipped to
    else:
        y += 10

    below = share_below(quantile, (0.5,), base, y)

    assert abs(below - quantile) < 4 * np.sqrt(quantile * (1 - quantile) / STEPS)


@pytest.mark.parametrize("quantile", [0.1, 0.8, 0.9])
def test_wrong_quantile_forecast_is_corrected_to_nominal(quantile: float) -> None:
    """A network whose intervals are four times too narrow is widened to the share that it promises."""
    random = np.random.default_rng(8)
    middle, spread = random.normal(size=(20, STEPS, 1)), random.uniform(0.5, 3, size=(20, STEPS, 1))
    base = middle + spread * np.array([-0.3, 0.0, 0.3])
    y = middle[..., 0] + spread[..., 0] * random.normal(size=(20, STEPS))
    raw = (y <= base[..., 2]).mean()

    below = share_below(quantile, (0.1, 0.5, 0.9), base, y)

    assert raw < 0.65
    assert abs(below - quantile) < 4 * np.sqrt(quantile * (1 - quantile) / STEPS)


def test_each_step_gets_its_own_width() -> None:
    """The error of step 2 is ten times that of step 1, and so is its interval."""
    random = np.random.default_rng(9)
    y = random.normal(size=(3000, 2)) * [1, 10]
    low, high = np.moveaxis(calibrate(y, np.zeros((3000, 2, 1)), (0.5,)).apply(np.zeros((1, 2, 1)), (0.1, 0.9)), -1, 0)
    np.testing.assert_allclose((high - low)[0], [2.563, 25.63], rtol=0.1)


def test_missing_actuals_and_broken_forecasts_give_no_residual() -> None:
    """What was not observed, or not forecast, is left out of that step alone, for all quantiles alike."""
    y = np.array([[1.0, np.nan], [2.0, 5.0], [3.0, 6.0]])
    base = np.zeros((3, 2, 2))
    base[2, 0, 1] = np.inf
    calibration = calibrate(y, base, (0.5, 0.9))
    np.testing.assert_array_equal(calibration.residuals[0], [[1, 2], [1, 2]])
    np.testing.assert_array_equal(calibration.residuals[1], [[5, 6], [5, 6]])


def test_steps_of_unequal_count_end_in_nan() -> None:
    """Residuals are sorted, what is missing stands last."""
    y = np.array([[3.0, np.nan], [1.0, 5.0], [2.0, np.nan]])
    calibration = calibrate(y, np.zeros((3, 2, 1)), (0.5,))
    np.testing.assert_array_equal(calibration.residuals[:, 0], [[1, 2, 3], [5, np.nan, np.nan]])
    assert calibration.counts.tolist() == [3, 1]


def test_limit_keeps_a_fair_sample_and_is_deterministic() -> None:
    """Windows of many series, one series after the other: the sample holds all of them, the same each time."""
    y = np.repeat(np.arange(100.0), 200)[:, None]  # 100 series whose error is their number
    first, second = (calibrate(y, np.zeros((20_000, 1, 1)), (0.5,), limit=1000) for _ in range(2))
    assert first.residuals.shape == (1, 1, 1000)
    np.testing.assert_array_equal(first.residuals, second.residuals)
    assert len(np.unique(first.residuals)) == 100
    assert abs(np.median(first.residuals) - 49.5) < 6


def test_calibrate_refuses_shapes_and_quantiles_that_do_not_fit() -> None:
    """The error says what came and what was expected."""
    with pytest.raises(GatecastError, match=r"base has shape \(3, 2, 1\), expected \(3, 2, 2\)"):
        calibrate(np.zeros((3, 2)), np.zeros((3, 2, 1)), (0.1, 0.5))
    with pytest.raises(GatecastError, match="must increase strictly"):
        calibrate(np.zeros((3, 2)), np.zeros((3, 2, 2)), (0.5, 0.1))


def test_groups_with_enough_residuals_have_their_own_and_the_others_those_of_all() -> None:
    """A quiet and a loud group get the residuals that a calibration of each alone keeps; ten windows are too few."""
    random = np.random.default_rng(10)
    groups = ["quiet"] * LEAST + ["loud"] * LEAST + ["few"] * 10
    y = random.normal(size=(len(groups), 2)) * np.repeat([1.0, 20.0, 5.0], [LEAST, LEAST, 10])[:, None]
    base = np.zeros((len(groups), 2, 1))
    calibration = calibrate(y, base, (0.5,), groups=groups)

    assert set(calibration.groups) == {"quiet", "loud"}
    wanted, one = (0.1, 0.9), np.zeros((1, 2, 1))
    whole = calibrate(y, base, (0.5,)).apply(one, wanted)
    for name, first in (("quiet", 0), ("loud", LEAST)):
        mine = slice(first, first + LEAST)
        alone = calibrate(y[mine], base[mine], (0.5,)).apply(one, wanted)
        np.testing.assert_array_equal(calibration.apply(one, wanted, [name]), alone)
    for name in ("few", "never seen"):
        np.testing.assert_array_equal(calibration.apply(one, wanted, [name]), whole)
    mixed = calibration.apply(np.zeros((3, 2, 1)), wanted, ["loud", "few", "quiet"])
    np.testing.assert_array_equal(mixed[1:2], whole)
    assert (mixed[0, :, 1] > mixed[2, :, 1]).all()


def test_a_group_that_lacks_residuals_of_one_step_has_those_of_all() -> None:
    """Intervals of a group are whole or not there."""
    y = np.random.default_rng(11).normal(size=(2 * LEAST, 2))
    y[1:LEAST, 1] = np.nan
    calibration = calibrate(y, np.zeros((2 * LEAST, 2, 1)), (0.5,), groups=["gaps"] * LEAST + ["whole"] * LEAST)
    assert set(calibration.groups) == {"whole"}


@pytest.mark.parametrize("group", ["quiet", "loud"])
def test_every_group_is_covered_as_promised(group: str) -> None:
    """Each step is one repetition: of sixty residuals of its own group, the next actual is below as often as said."""
    random, spread = np.random.default_rng(12), {"quiet": 1.0, "loud": 9.0}
    groups = ["quiet"] * 60 + ["loud"] * 60
    y = random.normal(size=(120, STEPS)) * np.repeat([1.0, 9.0], 60)[:, None]
    calibration = calibrate(y, np.zeros((120, STEPS, 1)), (0.5,), groups=groups)
    after = random.normal(size=STEPS) * spread[group]
    below = float((after <= calibration.apply(np.zeros((1, STEPS, 1)), (0.9,), [group])[0, :, 0]).mean())
    expected = np.ceil(61 * 0.9) / 61
    assert abs(below - expected) < 4 * np.sqrt(0.09 / STEPS)


def test_weights_keep_as_many_residuals_as_they_are_worth_in_their_proportion() -> None:
    """Equal weights keep all; of a hundred old windows at a hundredth and ten new ones, about the new ones are left."""
    y = np.arange(110.0)[:, None]
    base = np.zeros((110, 1, 1))
    np.testing.assert_array_equal(
        calibrate(y, base, (0.5,), weights=np.full(110, 0.3)).residuals, calibrate(y, base, (0.5,)).residuals
    )
    weights = np.where(y[:, 0] < 100, 0.01, 1.0)
    kept = calibrate(y, base, (0.5,), weights=weights).residuals[0, 0]
    assert len(kept) == round(11.0**2 / 10.01)  # by hand: (100 / 100 + 10)² / (100 / 10,000 + 10)
    assert (kept >= 100).sum() in (10, 11)


def test_weighted_residuals_follow_a_world_that_changed() -> None:
    """Errors that became four times as large: with a half-life the next ones are covered, without it they are not."""
    random = np.random.default_rng(13)
    y = random.normal(size=(400, 500)) * np.where(np.arange(400) < 300, 1.0, 4.0)[:, None]
    base, after = np.zeros((400, 500, 1)), random.normal(size=(200, 500)) * 4
    covered = {}
    for name, weights in {"alike": None, "recent": 0.5 ** (np.arange(400)[::-1] / 20)}.items():
        low, high = calibrate(y, base, (0.5,), weights=weights).apply(np.zeros((1, 500, 1)), (0.1, 0.9))[0].T
        covered[name] = ((low <= after) & (after <= high)).mean()
    assert covered["alike"] < 0.6
    assert abs(covered["recent"] - 0.8) < 0.03


def test_overlapping_windows_count_for_what_is_independent_in_them() -> None:
    """Errors of a random walk h steps ahead are sums of h shocks: n / h of them are independent, by and large."""
    shocks = np.random.default_rng(6).normal(size=4000)
    walk = np.cumsum(shocks)
    steps = np.arange(1, 9)
    y = walk[np.arange(3900)[:, None] + steps] - walk[:3900, None]  # (B, H) around a forecast of no change
    made = calibrate(y, np.zeros((3900, 8, 1)), (0.5,), series=np.zeros(3900, dtype=np.intp))
    assert made.independent is not None
    np.testing.assert_allclose(3900 / made.independent, steps, rtol=0.2)


def test_windows_of_different_series_are_independent() -> None:
    """What looks like a neighbor but belongs to another series does not count."""
    level = np.repeat(np.random.default_rng(2).normal(size=300), 2)[:, None] * np.ones((1, 3))  # pairs alike
    own, shared = (
        calibrate(level, np.zeros((600, 3, 1)), (0.5,), series=np.arange(600) // size).independent for size in (1, 2)
    )
    np.testing.assert_allclose(own, 600, rtol=1e-9)
    np.testing.assert_allclose(shared, [600, 300, 300], rtol=0.01)


def test_few_independent_residuals_widen_the_interval() -> None:
    """Of 100 residuals worth 10, the 0.9 quantile is the one of rank 11 * 0.9 * 10 = 99, the 0.1 of rank 2."""
    residuals = (np.arange(1, 101, dtype=np.float32) - 50.5)[None, None]
    plain, few = (Calibration((0.5,), residuals, independent=worth) for worth in (None, np.array([10.0])))
    zero = np.zeros((1, 1, 1))
    assert plain.apply(zero, (0.1, 0.5, 0.9)).ravel().tolist() == [-40.5, 0.0, 40.5]
    assert few.apply(zero, (0.1, 0.5, 0.9)).ravel().tolist() == [-48.5, 0.0, 48.5]
    again = Calibration.from_arrays(few.to_arrays())
    assert again.apply(zero, (0.9,)).ravel().tolist() == [48.5]
