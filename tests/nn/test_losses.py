"""The masked losses against figures worked out by hand, their defining properties, and scipy."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops
from scipy import special, stats

from forecasting.nn.losses import binet, categorical, negative_binomial, normal, pinball, student_t

NAN = float("nan")

# loss: its value by scipy for one target and its parameters
REFERENCES: dict[str, tuple[Callable[..., Any], Callable[..., float]]] = {
    "normal": (normal, lambda y, loc, scale: -stats.norm.logpdf(y, loc, scale)),
    "student_t": (student_t, lambda y, df, loc, scale: -stats.t.logpdf(y, df, loc, scale)),
    "negative_binomial": (negative_binomial, lambda y, m, a: -stats.nbinom.logpmf(y, 1 / a, 1 / (1 + a * m))),
    "categorical": (categorical, lambda y, *logits: -special.log_softmax(logits)[int(y)]),
}


def tensor(values: Any) -> Any:
    """A float32 tensor."""
    return ops.convert_to_tensor(np.asarray(values, "float32"))


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


def cases(name: str, rng: np.random.Generator) -> tuple[Any, Any]:
    """Targets (40, 3) and parameters (40, 3, P) of every size."""
    shape = (40, 3)
    uniform = rng.uniform
    if name == "normal":
        return rng.normal(0, 5, shape), np.stack([rng.normal(0, 5, shape), 10 ** uniform(-1, 3, shape)], axis=-1)
    if name == "student_t":
        rest = [rng.normal(0, 5, shape), 10 ** uniform(-1, 3, shape)]
        return rng.normal(0, 5, shape), np.stack([2 + 10 ** uniform(-4, 6, shape), *rest], axis=-1)
    if name == "categorical":
        return rng.integers(0, 4, shape), rng.normal(0, 5, (*shape, 4))
    mean, dispersion = 10 ** uniform(-6, 4, shape), 10 ** uniform(-4, 3, shape)
    drawn = rng.negative_binomial(1 / dispersion, 1 / (1 + dispersion * mean))
    return np.where(rng.random(shape) < 0.3, rng.integers(0, 1000, shape), drawn), np.stack([mean, dispersion], axis=-1)


@pytest.mark.parametrize("name", REFERENCES)
def test_likelihood_agrees_with_scipy(name: str, rng: np.random.Generator) -> None:
    """Target by target over many orders of magnitude, to 1e-4 in single precision."""
    loss, reference = REFERENCES[name]
    targets, parameters = (array.astype("float32") for array in cases(name, rng))
    for place in np.ndindex(targets.shape):
        computed = float(loss(tensor([[targets[place]]]), tensor([[parameters[place]]])))
        expected = reference(float(targets[place]), *parameters[place].astype(float).tolist())
        assert computed == pytest.approx(expected, rel=1e-4, abs=1e-4), (targets[place], parameters[place])


@pytest.mark.parametrize("name", REFERENCES)
def test_likelihood_is_the_mean_over_what_was_observed(name: str, rng: np.random.Generator) -> None:
    """Missing targets count for nothing, whatever stands under them; without any the loss is 0."""
    loss, _ = REFERENCES[name]
    targets, parameters = (array.astype("float32") for array in cases(name, rng))
    targets[0, 1] = targets[5:9] = NAN
    seen = ~np.isnan(targets)
    expected = float(loss(tensor(targets[seen][:, None]), tensor(parameters[seen][:, None])))
    assert float(loss(tensor(targets), tensor(parameters))) == pytest.approx(expected, rel=1e-4)
    assert float(loss(tensor(targets[..., None]), tensor(parameters))) == pytest.approx(expected, rel=1e-4)
    assert float(loss(tensor(targets[6:8]), tensor(parameters[6:8]))) == 0.0


def slopes(loss: Callable[..., Any], targets: Any, parameters: Any) -> Any:
    """The gradient of the loss in its parameters (1, N, P), on any backend: one step of descent of rate 1."""
    layer = keras.layers.Embedding(1, parameters.size)
    layer.build()
    layer.set_weights([parameters.reshape(1, -1).astype("float32")])
    source = keras.Input((), dtype="int32")
    model = keras.Model(source, keras.layers.Reshape(parameters.shape[1:])(layer(source)))
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss=loss)
    model.train_on_batch(np.zeros(1, "int32"), np.asarray(targets, "float32"))
    after = layer.get_weights()[0].reshape(parameters.shape)
    return parameters.astype("float32").astype(float) - after


@pytest.mark.parametrize("name", REFERENCES)
def test_slopes_agree_with_differences_of_scipy(name: str, rng: np.random.Generator) -> None:
    """The gradient in every parameter against central differences, and zero under a missing target."""
    loss, reference = REFERENCES[name]
    targets = np.array([[3.0, 0.0, NAN]])
    parameters = np.array([{"normal": [1.0, 2.0], "student_t": [4.0, 1.0, 2.0]}.get(name, [1.5, 0.7])] * 3)[None]
    if name == "categorical":
        parameters = rng.normal(size=(1, 3, 4))
    computed = slopes(loss, targets, parameters)
    assert np.all(computed[0, 2] == 0.0)
    for step, index in np.ndindex(2, parameters.shape[-1]):
        moved = [parameters[0, step].copy() for _ in range(2)]
        moved[0][index] -= 1e-4
        moved[1][index] += 1e-4
        low, high = (reference(targets[0, step], *values) for values in moved)
        assert computed[0, step, index] == pytest.approx((high - low) / 2e-4 / 2, rel=1e-3, abs=1e-5)


EXTREMES = {
    "normal": ([0.0, 1e6, -1e6], [[0.0, 1e-6], [1e6, 1e6], [0.0, 1.0]]),
    "student_t": ([0.0, 1e6, -1e6], [[2.0001, 0.0, 1e-6], [1e8, 1e6, 1e-3], [2.0001, 0.0, 1.0]]),
    "negative_binomial": (
        [0.0, 0.0, 0.0, 1e7, 1e7, 5.0, 1e6],
        [[1e-6, 1e-6], [1e-6, 1e3], [1e7, 1e-6], [1e7, 1e-6], [1e7, 1e3], [1e-6, 1e-6], [1e-6, 1e3]],
    ),
    "categorical": ([0.0, 3.0], [[1e6, 0.0, 0.0, -1e6], [1e6, 0.0, 0.0, -1e6]]),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_extremes_have_a_finite_loss_and_finite_slopes(name: str) -> None:
    """Zeros, nothing but zeros, huge values, the least scale and dispersion."""
    targets, parameters = EXTREMES[name]
    loss = REFERENCES[name][0]
    for target, values in zip(targets, parameters, strict=True):
        assert np.isfinite(float(loss(tensor([[target]]), tensor([[values]]))))
        assert np.isfinite(slopes(loss, [[target]], np.array([[values]]))).all()


def test_binet_gives_the_logarithm_of_the_gamma_function() -> None:
    """(x - 1/2) log x - x + log(2 pi) / 2 + binet(x) is scipy's gammaln, from 1e-3 to 1e6."""
    x = np.logspace(-3, 6, 2001).astype("float32")
    series = ops.convert_to_numpy(binet(tensor(x))).astype(float)
    x = x.astype(float)
    computed = (x - 0.5) * np.log(x) - x + 0.5 * np.log(2 * np.pi) + series
    np.testing.assert_allclose(computed, special.gammaln(x), rtol=1e-5, atol=2e-6)


def test_large_degrees_of_freedom_lead_to_the_normal(rng: np.random.Generator) -> None:
    """Student's t with df = 1e9 has the loss of the normal."""
    targets, parameters = rng.normal(size=(5, 4)), np.tile([0.3, 1.2], (5, 4, 1))
    heavy = np.concatenate([np.full((5, 4, 1), 1e9), parameters], axis=-1)
    expected = float(normal(tensor(targets), tensor(parameters)))
    assert float(student_t(tensor(targets), tensor(heavy))) == pytest.approx(expected, rel=1e-6)


def test_no_dispersion_leads_to_poisson(rng: np.random.Generator) -> None:
    """The negative binomial with dispersion 1e-6 has the loss of the Poisson distribution."""
    counts = rng.poisson(4.0, (6, 5))
    expected = -stats.poisson.logpmf(counts, 4.0).mean()
    parameters = np.tile([4.0, 1e-6], (6, 5, 1))
    assert float(negative_binomial(tensor(counts), tensor(parameters))) == pytest.approx(expected, rel=1e-5)
