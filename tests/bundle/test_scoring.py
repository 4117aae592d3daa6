"""Pinball loss, coverage and interval of quantiles, against scikit-learn and plain loops."""

import numpy as np
import pytest
from sklearn.metrics import mean_pinball_loss

from forecasting.bundle.scoring import inside, pinball, widest_interval

QUANTILES = (0.1, 0.5, 0.7, 0.9)


def drawn(*, missing: float) -> tuple[np.ndarray, np.ndarray]:
    """Actuals (40, 3) and increasing quantiles (40, 3, Q), some of them NaN."""
    random = np.random.default_rng(5)
    y, forecast = random.normal(size=(40, 3)), np.sort(random.normal(size=(40, 3, len(QUANTILES))), axis=-1)
    return y, np.where(random.random(forecast.shape) < missing, np.nan, forecast)


def test_pinball_is_twice_the_mean_over_quantiles_of_that_of_scikit_learn() -> None:
    """Over all actuals together."""
    y, forecast = drawn(missing=0)
    losses = [mean_pinball_loss(y.ravel(), forecast[..., i].ravel(), alpha=q) for i, q in enumerate(QUANTILES)]
    assert pinball(y, forecast, QUANTILES).mean() == pytest.approx(2 * np.mean(losses), rel=1e-12)


def test_quantiles_that_were_not_forecast_are_left_out() -> None:
    """Each element against a loop over the quantiles that it has; fewer than two are no interval."""
    y, forecast = drawn(missing=0.5)
    loss, covered, (low, high) = pinball(y, forecast, QUANTILES), inside(y, forecast), widest_interval(forecast)
    for at in np.ndindex(y.shape):
        known = [(q, f) for q, f in zip(QUANTILES, forecast[at], strict=True) if not np.isnan(f)]
        losses = [2 * max(q * (y[at] - f), (q - 1) * (y[at] - f)) for q, f in known]
        ends = (known[0][1], known[-1][1]) if len(known) > 1 else (np.nan, np.nan)
        within = float(ends[0] <= y[at] <= ends[1]) if len(known) > 1 else np.nan
        expected = (np.mean(losses) if losses else np.nan, within, *ends)
        assert (loss[at], covered[at], low[at], high[at]) == pytest.approx(expected, rel=1e-12, nan_ok=True)
    assert {0.0, 1.0} < set(covered.ravel())


def test_pinball_of_the_median_is_the_absolute_error() -> None:
    """Which makes it a scale that one knows."""
    y, forecast = drawn(missing=0)
    assert pinball(y, forecast[..., 1:2], (0.5,)) == pytest.approx(np.abs(y - forecast[..., 1]))


def test_bounds_of_the_interval_are_inside() -> None:
    """Both of them; the next number outside is not."""
    y = np.array([1.0, 2.0, np.nextafter(1.0, 0), np.nextafter(2.0, 3)])
    assert inside(y, np.tile([1.0, 1.5, 2.0], (4, 1))).tolist() == [1, 1, 0, 0]
