"""Every head: quantiles that cannot cross, inside their frame, and trainable on missing targets."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from forecasting.errors import ConfigError
from forecasting.nn import heads

LEVELS = (0.05, 0.1, 0.5, 0.75, 0.9, 0.99)


def called(head: Any, features: Any, frame: Any) -> Any:
    """The head's quantiles as NumPy."""
    output = head([ops.convert_to_tensor(features.astype("float32")), ops.convert_to_tensor(frame.astype("float32"))])
    return ops.convert_to_numpy(head.quantiles(output))


def neutral(windows: int, steps: int) -> Any:
    """The frame that changes nothing."""
    return np.tile([0.0, 1.0], (windows, steps, 1))


@pytest.mark.parametrize("name", heads.HEADS)
@pytest.mark.parametrize("spread", [1.0, 1e3, 1e6])
def test_quantiles_never_cross(name: str, spread: float, randomise: Any, rng: np.random.Generator) -> None:
    """Whatever the weights and features, the quantiles do not decrease along Q."""
    head = heads.build(name, LEVELS)
    head.build([(None, 4, 3), (None, 4, 2)])
    output = called(randomise(head), rng.normal(0, spread, (50, 4, 3)), np.abs(rng.normal(size=(50, 4, 2))))
    assert output.shape == (50, 4, len(LEVELS))
    assert np.all(np.diff(output, axis=-1) >= 0.0)


@pytest.mark.parametrize("levels", [LEVELS, (0.5,), (0.1, 0.2), (0.5, 0.9), (0.1, 0.5)])
def test_quantile_head_steps_outwards_from_its_anchor(
    levels: tuple[float, ...], randomise: Any, rng: np.random.Generator
) -> None:
    """A loop: the level nearest to the median is r itself, its neighbours are softplus(r) further out."""
    head = heads.build("quantile", levels)
    head.build([(None, 2, 3), (None, 2, 2)])
    features, frame = rng.normal(size=(4, 2, 3)), np.abs(rng.normal(size=(4, 2, 2)))
    kernel, bias = randomise(head).get_weights()
    raw = features @ kernel + bias
    anchor = int(np.argmin(np.abs(np.array(levels) - 0.5)))
    expected = raw.copy()
    for level in range(anchor + 1, len(levels)):
        expected[..., level] = expected[..., level - 1] + np.log1p(np.exp(raw[..., level]))
    for level in reversed(range(anchor)):
        expected[..., level] = expected[..., level + 1] - np.log1p(np.exp(raw[..., level]))
    expected = expected * frame[..., 1:] + frame[..., :1]
    np.testing.assert_allclose(called(head, features, frame), expected, atol=1e-5)


@pytest.mark.parametrize("name", heads.HEADS)
def test_head_learns_the_quantiles_of_noise(name: str, rng: np.random.Generator) -> None:
    """Trained on standard normal targets, a third of them missing, it finds their quantiles."""
    levels = (0.1, 0.5, 0.9)
    head = heads.build(name, levels)
    features, frame = keras.Input((1, 1)), keras.Input((1, 2))
    model = keras.Model([features, frame], head([features, frame]))
    model.compile(optimizer=keras.optimizers.SGD(0.5), loss=head.loss)
    targets = rng.normal(size=(1500, 1)).astype("float32")
    targets[::3] = np.nan
    inputs = [np.ones((1500, 1, 1), "float32"), neutral(1500, 1).astype("float32")]
    for _ in range(120):
        model.train_on_batch(inputs, targets)
    learned = called(head, np.ones((1, 1, 1)), neutral(1, 1))[0, 0]
    np.testing.assert_allclose(learned, np.nanquantile(targets, levels), atol=0.05)


@pytest.mark.parametrize("name", heads.HEADS)
def test_head_survives_serialisation(name: str) -> None:
    """The configuration rebuilds an equal head."""
    head = heads.build(name, LEVELS)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert again.get_config() == head.get_config()


def test_median_alone_trains_although_keras_squeezes_it() -> None:
    """One level makes an output (B, H, 1), which Keras hands to the loss as (B, H)."""
    head = heads.build("quantile", (0.5,))
    features, frame = keras.Input((3, 1)), keras.Input((3, 2))
    model = keras.Model([features, frame], head([features, frame]))
    model.compile(optimizer="sgd", loss=head.loss)
    inputs = [np.zeros((2, 3, 1), "float32"), neutral(2, 3).astype("float32")]
    loss = model.test_on_batch(inputs, np.array([[1.0, 2.0, np.nan], [-1.0, -2.0, -6.0]], "float32"))
    assert float(loss) == pytest.approx(12.0 / 5.0)


def test_unknown_head_is_refused_with_the_valid_ones() -> None:
    """The error names what came and what is valid."""
    with pytest.raises(ConfigError, match=r"'gauss'; valid heads: quantile"):
        heads.build("gauss", (0.5,))


@pytest.mark.parametrize("levels", [(), (0.9, 0.1), (0.5, 0.5), (0.0, 0.5), (0.5, 1.0)])
def test_wrong_levels_are_refused(levels: tuple[float, ...]) -> None:
    """Levels must increase strictly and lie between 0 and 1."""
    with pytest.raises(ConfigError, match="must increase strictly"):
        heads.build("quantile", levels)
