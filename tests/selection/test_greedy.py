"""Greedy ensemble selection: never worse than the best model alone, and the mean where errors cancel."""

import numpy as np
import pytest
from sklearn.metrics import mean_pinball_loss

from forecasting.selection.greedy import LEAST_WEIGHT, PICKS, bagged, loss, select

QUANTILES = (0.1, 0.5, 0.9)


def test_loss_is_twice_the_pinball_loss_over_the_size_of_the_actuals(rng: np.random.Generator) -> None:
    """As scikit-learn computes it, quantile by quantile; a missing actual has no part."""
    y, forecast = rng.normal(5, 1, (40, 3)), rng.normal(5, 1, (40, 3, 3))
    pairs = [(forecast[..., q].ravel(), tau) for q, tau in enumerate(QUANTILES)]
    expected = np.mean([mean_pinball_loss(y.ravel(), values, alpha=tau) for values, tau in pairs])
    assert loss(y, forecast, QUANTILES) == pytest.approx(2 * expected / np.abs(y).mean())
    y[3, 1] = np.nan
    changed = forecast.copy()
    changed[3, 1] = 1e9
    assert loss(y, changed, QUANTILES) == loss(y, forecast, QUANTILES)


def test_opposite_errors_are_averaged(rng: np.random.Generator) -> None:
    """Two models that are off by one in either direction get half of the weight each, a bad one none."""
    y = rng.normal(10, 1, (50, 2))
    above, below, bad = (np.repeat((y + shift)[..., None], 3, axis=-1) for shift in (1.0, -1.0, 9.0))
    weights = select(y, [bad, above, below], QUANTILES)
    np.testing.assert_allclose(weights, [0.0, 0.5, 0.5], atol=0.05)


def test_ensemble_is_never_worse_than_the_best_model(rng: np.random.Generator) -> None:
    """On the windows that it was chosen on."""
    y = rng.normal(10, 1, (60, 4))
    forecasts = [np.sort(y[..., None] + rng.normal(0, size, (60, 4, 3)), axis=-1) for size in (0.5, 0.6, 0.7, 3.0)]
    weights = select(y, forecasts, QUANTILES)
    mean = sum(weight * forecast for weight, forecast in zip(weights, forecasts, strict=True))
    assert weights.sum() == pytest.approx(1.0)
    assert loss(y, np.asarray(mean), QUANTILES) <= min(loss(y, forecast, QUANTILES) for forecast in forecasts)
    assert np.all(weights >= 0)


def test_one_perfect_model_stands_alone(rng: np.random.Generator) -> None:
    """Nothing is added that only makes it worse."""
    y = rng.normal(10, 1, (20, 2))
    perfect = np.repeat(y[..., None], 3, axis=-1)
    assert select(y, [perfect + 1, perfect, perfect - 2], QUANTILES).tolist() == [0.0, 1.0, 0.0]
    assert PICKS > 1


def test_bagging_shares_the_weight_between_models_that_take_turns(rng: np.random.Generator) -> None:
    """Of two that are good in one half of the time each, both keep a share; one that is never good has none."""
    y = rng.normal(10, 1, (80, 2))
    exact = np.repeat(y[..., None], 3, axis=-1)
    early = np.arange(80)[:, None, None] < 40
    first, second = exact + np.where(early, 0.1, 1.0), exact + np.where(early, 1.1, 0.1)
    weights = bagged(y, [first, second, exact + 5], QUANTILES, np.arange(80))
    assert weights[2] == 0
    assert weights[:2].min() > 0.15
    assert weights.sum() == pytest.approx(1.0)


def test_small_weights_are_dropped(rng: np.random.Generator) -> None:
    """Every member that stays has a share worth its time; windows of one moment are one block."""
    y = rng.normal(10, 1, (60, 2))
    forecasts = [np.sort(y[..., None] + rng.normal(0, 1, (60, 2, 3)), axis=-1) for _ in range(12)]
    for order in (rng.permutation(60), np.zeros(60)):
        weights = bagged(y, forecasts, QUANTILES, order)
        assert weights.sum() == pytest.approx(1.0)
        assert weights[weights > 0].min() >= LEAST_WEIGHT
