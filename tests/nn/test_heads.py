"""Every head: its equations, with location and scale, trainable on missing targets, and its exported form."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from forecasting.bundle.distributions import DISTRIBUTIONS, distribution
from forecasting.config.head import NumberHead, SymbolHead
from forecasting.errors import ConfigError
from forecasting.nn import heads
from forecasting.nn.export import parity, to_onnx
from forecasting.nn.heads.quantile import QuantileHead

LEVELS = (0.05, 0.1, 0.5, 0.75, 0.9, 0.99)
NUMERIC = [name for name in heads.HEADS if name != "categorical"]


def make(name: str, levels: tuple[float, ...] = LEVELS) -> Any:
    """The head of that name, with four classes where it has any."""
    if name == "categorical":
        return heads.build(SymbolHead(), classes=4)
    return heads.build(NumberHead(name=name, quantiles=levels))


def called(head: Any, features: Any, loc_scale: Any) -> Any:
    """The head's output as NumPy."""
    arrays = [ops.convert_to_tensor(np.asarray(array, "float32")) for array in (features, loc_scale)]
    return ops.convert_to_numpy(head(arrays))


def neutral(windows: int, steps: int) -> Any:
    """Location and scale that change nothing."""
    return np.tile([0.0, 1.0], (windows, steps, 1))


def network(head: Any, steps: int = 1, width: int = 1) -> Any:
    """A network of nothing but a head."""
    features, loc_scale = keras.Input((steps, width), name="features"), keras.Input((steps, 2), name="loc_scale")
    return keras.Model({"features": features, "loc_scale": loc_scale}, head([features, loc_scale]))


def softplus(values: Any) -> Any:
    """log(1 + exp(x))."""
    return np.logaddexp(0.0, values)


@pytest.mark.parametrize("name", NUMERIC)
@pytest.mark.parametrize("spread", [1.0, 1e3, 1e6])
def test_quantiles_never_cross(name: str, spread: float, randomize: Any, rng: np.random.Generator) -> None:
    """Whatever the weights and features, the quantiles are finite and do not decrease along Q."""
    head = make(name)
    head.build([(None, 4, 3), (None, 4, 2)])
    output = called(randomize(head), rng.normal(0, spread, (50, 4, 3)), np.abs(rng.normal(size=(50, 4, 2))))
    quantiles = distribution(name, LEVELS).quantile(output, np.array(LEVELS))
    assert quantiles.shape == (50, 4, len(LEVELS))
    assert np.isfinite(quantiles).all()
    assert np.all(np.diff(quantiles, axis=-1) >= 0.0)


@pytest.mark.parametrize("levels", [LEVELS, (0.5,), (0.1, 0.2), (0.5, 0.9), (0.1, 0.5)])
def test_quantile_head_steps_outwards_from_its_anchor(
    levels: tuple[float, ...], randomize: Any, rng: np.random.Generator
) -> None:
    """A loop: the level nearest to the median is r itself, its neighbors are softplus(r) further out."""
    head = QuantileHead(levels)
    head.build([(None, 2, 3), (None, 2, 2)])
    features, loc_scale = rng.normal(size=(4, 2, 3)), np.abs(rng.normal(size=(4, 2, 2)))
    kernel, bias = randomize(head).get_weights()
    raw = features @ kernel + bias
    anchor = int(np.argmin(np.abs(np.array(levels) - 0.5)))
    expected = raw.copy()
    for level in range(anchor + 1, len(levels)):
        expected[..., level] = expected[..., level - 1] + softplus(raw[..., level])
    for level in reversed(range(anchor)):
        expected[..., level] = expected[..., level + 1] - softplus(raw[..., level])
    expected = expected * loc_scale[..., 1:] + loc_scale[..., :1]
    np.testing.assert_allclose(called(head, features, loc_scale), expected, atol=1e-5)


def _normal(r: Any, location: Any, scale: Any) -> list[Any]:
    return [location + scale * r[0], scale * (softplus(r[1]) + 1e-4)]


def _student_t(r: Any, location: Any, scale: Any) -> list[Any]:
    return [2 + softplus(r[0]) + 1e-4, location + scale * r[1], scale * (softplus(r[2]) + 1e-4)]


def _negative_binomial(r: Any, location: Any, scale: Any) -> list[Any]:
    width = scale + 1
    mean = width * softplus(r[0] + location / width) + 1e-6
    return [mean, softplus(r[1]) * (width / (width + mean)) ** 2 + 1e-6]


def _categorical(r: Any, location: Any, scale: Any) -> list[Any]:
    return list(r)


EQUATIONS: dict[str, Callable[..., list[Any]]] = {
    "normal": _normal,
    "student_t": _student_t,
    "negative_binomial": _negative_binomial,
    "categorical": _categorical,
}


@pytest.mark.parametrize("name", EQUATIONS)
def test_parameters_follow_the_equations(name: str, randomize: Any, rng: np.random.Generator) -> None:
    """Window by window and step by step, the documented equations of each head."""
    head = make(name)
    head.build([(None, 2, 3), (None, 2, 2)])
    features, loc_scale = rng.normal(0, 2, (4, 2, 3)), np.abs(rng.normal(0, 3, (4, 2, 2)))
    kernel, bias = randomize(head).get_weights()
    output = called(head, features, loc_scale)
    for window, step in np.ndindex(4, 2):
        expected = EQUATIONS[name](features[window, step] @ kernel + bias, *loc_scale[window, step])
        np.testing.assert_allclose(output[window, step], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("level", [0.0, 3.0, 1e4, 1e6])
@pytest.mark.parametrize("spread", [0.01, 1.0, 1e3])
def test_counts_start_near_the_level_of_their_context(level: float, spread: float) -> None:
    """Before any training the mean is the location, up to a width or so, also after zeros alone."""
    head = heads.build(NumberHead(name="negative_binomial"))
    mean, dispersion = called(head, np.zeros((1, 1, 2)), [[[level, spread]]])[0, 0]
    assert 0 < mean < level + spread + 1
    assert mean > level - 1
    assert np.sqrt(mean + dispersion * mean**2) < 2 * (spread + 1 + np.sqrt(mean))


@pytest.mark.parametrize("name", NUMERIC)
def test_head_learns_the_quantiles_of_noise(name: str, rng: np.random.Generator) -> None:
    """Trained on noise that its distribution can be, a third of it missing, it finds the noise's quantiles."""
    levels = np.array([0.1, 0.5, 0.9])
    head = heads.build(NumberHead(name=name, quantiles=levels))
    model = network(head)
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss=head.loss)
    counts = name == "negative_binomial"
    targets = (rng.negative_binomial(2, 0.2, (1500, 1)) if counts else rng.normal(size=(1500, 1))).astype("float32")
    targets[::3] = np.nan
    loc_scale = np.tile([np.nanmean(targets), np.nanstd(targets)], (1500, 1, 1)).astype("float32")
    for _ in range(150):
        model.train_on_batch({"features": np.ones((1500, 1, 1), "float32"), "loc_scale": loc_scale}, targets)
    learned = distribution(name, levels).quantile(called(head, np.ones((1, 1, 1)), loc_scale[:1]), levels)[0, 0]
    np.testing.assert_allclose(learned, np.nanquantile(targets, levels), atol=1.0 if counts else 0.1)


def test_categorical_head_learns_the_shares_of_codes(rng: np.random.Generator) -> None:
    """Trained on codes, some missing, its probabilities become their shares."""
    head = make("categorical")
    model = network(head)
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss=head.loss)
    targets = rng.choice(4, p=[0.5, 0.3, 0.15, 0.05], size=(900, 1)).astype("float32")
    targets[::3] = np.nan
    inputs = {"features": np.ones((900, 1, 1), "float32"), "loc_scale": neutral(900, 1).astype("float32")}
    for _ in range(200):
        model.train_on_batch(inputs, targets)
    logits = called(head, np.ones((1, 1, 1)), neutral(1, 1))[0, 0]
    shares = np.bincount(targets[~np.isnan(targets)].astype(int)) / 600
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(), shares, atol=0.01)


@pytest.mark.parametrize("name", heads.HEADS)
@pytest.mark.parametrize("steps", [1, 4])
def test_export_agrees_with_keras(name: str, steps: int, randomize: Any, rng: np.random.Generator) -> None:
    """The exported head gives what Keras gives, to 1e-5 of the largest value."""
    model = randomize(network(make(name), steps, 3))
    batch = {
        "features": rng.normal(0, 2, (6, steps, 3)).astype("float32"),
        "loc_scale": np.abs(rng.normal(0, 2, (6, steps, 2))).astype("float32"),
    }
    assert parity(model, to_onnx(model), batch) <= 1e-5 * max(1.0, float(np.abs(model(batch)).max()))


@pytest.mark.parametrize("name", heads.HEADS)
def test_head_survives_serialisation(name: str) -> None:
    """The configuration rebuilds an equal head."""
    head = make(name)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert type(again) is type(head)
    assert again.get_config() == head.get_config()
    assert again.compute_output_shape([(None, 4, 3), (None, 4, 2)]) == (None, 4, head.size)


@pytest.mark.parametrize("name", heads.HEADS)
def test_head_stays_in_full_precision(name: str) -> None:
    """Half-precision features give float32 parameters."""
    head = make(name)
    features = ops.convert_to_tensor(np.ones((2, 3, 5), "float16"))
    output = head([features, ops.convert_to_tensor(neutral(2, 3).astype("float32"))])
    assert keras.backend.standardize_dtype(output.dtype) == "float32"


def test_every_head_has_its_distribution() -> None:
    """What a network puts out can be read without the packages that train it."""
    assert set(heads.HEADS) == set(DISTRIBUTIONS)


def test_median_alone_trains_although_keras_squeezes_it() -> None:
    """One level makes an output (B, H, 1), which Keras hands to the loss as (B, H)."""
    head = heads.build(NumberHead(quantiles=(0.5,)))
    model = network(head, 3)
    model.compile(optimizer="sgd", loss=head.loss)
    inputs = {"features": np.zeros((2, 3, 1), "float32"), "loc_scale": neutral(2, 3).astype("float32")}
    loss = model.test_on_batch(inputs, np.array([[1.0, 2.0, np.nan], [-1.0, -2.0, -6.0]], "float32"))
    assert float(loss) == pytest.approx(12.0 / 5.0)


@pytest.mark.parametrize("classes", [None, 1])
def test_categorical_head_needs_its_classes(classes: int | None) -> None:
    """Fewer than two classes, or none named, are refused."""
    with pytest.raises(ConfigError, match=f"at least 2 classes, got {classes}"):
        heads.build(SymbolHead(), classes=classes)


def test_classes_of_a_head_without_any_are_refused() -> None:
    """A number of classes for another head is a mistake of whoever builds the network."""
    with pytest.raises(ConfigError, match="head normal takes no classes, got 3"):
        heads.build(NumberHead(name="normal"), classes=3)
