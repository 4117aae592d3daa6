"""The masked pinball loss against figures worked out by hand and against its defining property."""

import keras
import numpy as np
import pytest
from keras import ops

from forecasting.nn.losses import pinball

NAN = float("nan")


def value(y_true: object, quantiles: object, levels: tuple[float, ...]) -> float:
    """The loss as a plain number."""
    target = ops.convert_to_tensor(np.asarray(y_true, "float32"))
    return float(pinball(target, ops.convert_to_tensor(np.asarray(quantiles, "float32")), levels))


def test_pinball_matches_figures_worked_out_by_hand() -> None:
    """One window, two steps: errors (3, 2, 1) and (-1, -1.5, -2) under the levels .1, .5, .9."""
    # step 1: .1*3 + .5*2 + .9*1 = 2.2; step 2: .9*1 + .5*1.5 + .1*2 = 1.85; doubled, over 2 steps and 3 levels
    loss = value([[4.0, 0.0]], [[[1.0, 2.0, 3.0], [1.0, 1.5, 2.0]]], (0.1, 0.5, 0.9))
    assert loss == pytest.approx(2 * (2.2 + 1.85) / 6, rel=1e-6)


def test_pinball_of_the_median_is_the_mean_absolute_error(rng: np.random.Generator) -> None:
    """With the level .5 alone the loss is the MAE."""
    y_true, forecast = rng.normal(size=(6, 4)), rng.normal(size=(6, 4, 1))
    assert value(y_true, forecast, (0.5,)) == pytest.approx(np.abs(y_true - forecast[..., 0]).mean(), rel=1e-5)


def test_missing_targets_count_for_nothing(rng: np.random.Generator) -> None:
    """The loss with NaN targets is the loss over the observed ones alone."""
    y_true, forecast = rng.normal(size=(3, 4)), rng.normal(size=(3, 4, 2))
    y_true[0, 1] = y_true[2, :] = NAN
    seen = ~np.isnan(y_true)
    expected = value(y_true[seen][:, None], forecast[seen][:, None, :], (0.2, 0.8))
    assert value(y_true, forecast, (0.2, 0.8)) == pytest.approx(expected, rel=1e-5)


def test_loss_is_zero_where_nothing_was_observed() -> None:
    """A batch without one observed target has loss 0, not NaN."""
    assert value([[NAN, NAN]], [[[1.0], [2.0]]], (0.5,)) == 0.0


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 1)])
def test_targets_may_carry_a_last_axis_of_one(rng: np.random.Generator, shape: tuple[int, ...]) -> None:
    """(B, H) and (B, H, 1) targets give the same loss."""
    y_true, forecast = rng.normal(size=(3, 4)), rng.normal(size=(3, 4, 2))
    assert value(y_true.reshape(shape), forecast, (0.3, 0.5)) == value(y_true, forecast, (0.3, 0.5))


@pytest.mark.parametrize("level", [0.1, 0.5, 0.8])
def test_the_best_constant_is_the_empirical_quantile(rng: np.random.Generator, level: float) -> None:
    """Among all constants the sample quantile has the smallest loss."""
    sample = np.sort(rng.normal(size=(1, 101)), axis=1)
    losses = [value(sample, np.full((1, 101, 1), guess), (level,)) for guess in sample[0]]
    assert int(np.argmin(losses)) == pytest.approx(round(level * 100), abs=1)


def test_gradient_of_a_missing_target_is_zero_not_nan() -> None:
    """A step on targets of which one is NaN moves only the weights of the observed step, by hand-computed slopes."""
    source = keras.Input((2,))
    output = keras.layers.Dense(2, use_bias=False, kernel_initializer="zeros")(source)
    model = keras.Model(source, keras.layers.Reshape((2, 1))(output))
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss=lambda y, forecast: pinball(y, forecast, (0.9,)))
    model.train_on_batch(np.array([[1.0, 2.0]], "float32"), np.array([[5.0, NAN]], "float32"))
    # slope of 2 * .9 * (5 - w x) in w is -1.8 x
    np.testing.assert_allclose(model.get_weights()[0], [[1.8, 0.0], [3.6, 0.0]], rtol=1e-6)
