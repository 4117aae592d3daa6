"""Our own layers against NumPy, at their edges, and through serialization."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from forecasting.errors import ConfigError
from forecasting.nn.layers.code_embedding import CodeEmbedding
from forecasting.nn.layers.highway import Highway, WideHighway
from forecasting.nn.layers.reversible_norm import METHODS, LocationScale, Normalise, denormalise

FLOOR = 0.01  # smallest scale of a window


def loc_scale_of(past: Any, method: str, *, mask: bool = True) -> Any:
    """Location and scale as NumPy."""
    return ops.convert_to_numpy(LocationScale(method, mask=mask)(ops.convert_to_tensor(past.astype("float32"))))


def context(rng: np.random.Generator, windows: int = 6, steps: int = 9) -> Any:
    """A context of target, one covariate and a mask with gaps; window 0 ends in a gap."""
    past = rng.normal(3.0, 2.0, (windows, steps, 3))
    past[:, :, 2] = rng.random((windows, steps)) > 0.4
    past[0, -2:, 2], past[:, 4, 2] = 0.0, 1.0
    return past


def test_location_scale_is_mean_and_deviation_of_the_observed_steps(rng: np.random.Generator) -> None:
    """A NumPy loop over windows that looks at observed steps alone."""
    past = context(rng)
    expected = [[row[row[:, 2] == 1, 0].mean(), row[row[:, 2] == 1, 0].std()] for row in past]
    np.testing.assert_allclose(loc_scale_of(past, "window"), np.maximum(expected, [-np.inf, FLOOR]), rtol=1e-5)


def test_last_frame_starts_from_the_last_observed_reading(rng: np.random.Generator) -> None:
    """The location is the last reading with mask 1, also where the context ends in a gap."""
    past = context(rng)
    expected = [row[row[:, 2] == 1, 0][-1] for row in past]
    np.testing.assert_allclose(loc_scale_of(past, "last")[:, 0], expected, rtol=1e-6)
    np.testing.assert_array_equal(loc_scale_of(past, "last")[:, 1], loc_scale_of(past, "window")[:, 1])


def test_loc_scale_of_none_leaves_everything(rng: np.random.Generator) -> None:
    """Without normalization the pair is location 0, scale 1."""
    np.testing.assert_array_equal(loc_scale_of(context(rng), "none"), np.tile([0.0, 1.0], (6, 1)))


@pytest.mark.parametrize("method", METHODS)
def test_values_of_filled_gaps_have_no_effect(method: str, rng: np.random.Generator) -> None:
    """Permuting what stands in the gaps leaves the pair as it was."""
    past = context(rng)
    changed = past.copy()
    gap = changed[:, :, 2] == 0
    changed[gap, 0] = rng.permutation(changed[gap, 0]) + 100.0
    np.testing.assert_array_equal(loc_scale_of(past, method), loc_scale_of(changed, method))


@pytest.mark.parametrize("method", METHODS)
def test_context_without_a_reading_has_the_neutral_pair(method: str) -> None:
    """Where nothing was observed the pair is (0, 1): the scaled space itself."""
    np.testing.assert_array_equal(loc_scale_of(np.full((1, 4, 2), [9.0, 0.0]), method), [[0.0, 1.0]])


@pytest.mark.parametrize("method", ["window", "last"])
def test_single_reading_gives_the_level_but_no_scale(method: str) -> None:
    """One reading has no spread: its scale is 1, not the floor."""
    past = np.array([[[7.0, 0.0], [3.0, 1.0], [9.0, 0.0]]])
    np.testing.assert_array_equal(loc_scale_of(past, method), [[3.0, 1.0]])


@pytest.mark.parametrize("method", ["window", "last"])
def test_constant_context_has_a_small_scale_not_zero(method: str) -> None:
    """A constant context is divided by the floor, never by zero."""
    np.testing.assert_allclose(loc_scale_of(np.full((1, 8, 1), 5.0), method, mask=False), [[5.0, FLOOR]], rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_denormalise_undoes_normalise(method: str, rng: np.random.Generator) -> None:
    """denorm(norm(x)) is x for the target, and covariates and mask pass untouched."""
    past = ops.convert_to_tensor(context(rng).astype("float32"))
    loc_scale = LocationScale(method, mask=True)(past)
    inside = Normalise()([past, loc_scale])
    back = denormalise(inside[:, :, :1], ops.repeat(loc_scale[:, None, :], past.shape[1], axis=1))
    np.testing.assert_allclose(ops.convert_to_numpy(back), ops.convert_to_numpy(past)[:, :, :1], atol=1e-5)
    np.testing.assert_array_equal(ops.convert_to_numpy(inside)[:, :, 1:], ops.convert_to_numpy(past)[:, :, 1:])


def test_unknown_method_is_refused_with_the_valid_ones() -> None:
    """The error names what came and what is valid."""
    with pytest.raises(ConfigError, match=r"'median'.*window, last, none"):
        LocationScale("median")


def test_highway_adds_a_linear_function_of_the_last_lags(randomize: Any, rng: np.random.Generator) -> None:
    """LSTNet eq. 7 inside the window: location + scale * (W y + b), scale untouched."""
    past, loc_scale = rng.normal(size=(4, 7, 2)).astype("float32"), rng.normal(size=(4, 5, 2)).astype("float32")
    layer = Highway(3)
    layer.build([past.shape, loc_scale.shape])
    randomize(layer)
    kernel, bias = layer.get_weights()
    expected = loc_scale[..., 0] + loc_scale[..., 1] * (past[:, 4:, 0] @ kernel + bias)
    moved = ops.convert_to_numpy(layer([ops.convert_to_tensor(past), ops.convert_to_tensor(loc_scale)]))
    np.testing.assert_allclose(moved[..., 0], expected, atol=1e-5)
    np.testing.assert_array_equal(moved[..., 1], loc_scale[..., 1])


@pytest.mark.parametrize("known", [0, 2])
def test_wide_highway_reads_all_channels_and_what_is_known_ahead(
    known: int, randomize: Any, rng: np.random.Generator
) -> None:
    """location + scale * (W x + A f + b), and scale * exp(g), with everything flattened."""
    past, loc_scale = rng.normal(size=(4, 7, 2)).astype("float32"), rng.normal(size=(4, 5, 2)).astype("float32")
    future = rng.normal(size=(4, 5, known)).astype("float32")
    arrays = [past, loc_scale, *([future] if known else [])]
    layer = WideHighway(3)
    layer.build([array.shape for array in arrays])
    randomize(layer)
    kernel, bias, spread, *ahead = layer.get_weights()
    shift = past[:, 4:].reshape(4, -1) @ kernel + bias
    shift = shift + (future.reshape(4, -1) @ ahead[0] if known else 0.0)
    moved = ops.convert_to_numpy(layer([ops.convert_to_tensor(array) for array in arrays]))
    np.testing.assert_allclose(moved[..., 0], loc_scale[..., 0] + loc_scale[..., 1] * shift, atol=1e-5)
    np.testing.assert_allclose(moved[..., 1], loc_scale[..., 1] * np.exp(spread), rtol=1e-5)


def test_untrained_highway_changes_nothing(rng: np.random.Generator) -> None:
    """It starts as the identity on the location."""
    loc_scale = rng.normal(size=(2, 5, 2)).astype("float32")
    moved = Highway(3)(
        [ops.convert_to_tensor(rng.normal(size=(2, 7, 1)).astype("float32")), ops.convert_to_tensor(loc_scale)]
    )
    np.testing.assert_array_equal(ops.convert_to_numpy(moved), loc_scale)


def test_codes_become_rows_of_their_own_column(rng: np.random.Generator) -> None:
    """Every (column, code) has a vector of its own; codes out of range get the unknown one, code 0."""
    layer = CodeEmbedding((3, 2), 4)
    layer.build((None, 2))
    table = rng.normal(size=(5, 4)).astype("float32")
    layer.set_weights([table])
    codes = np.array([[0, 1], [2, 0], [3, -1], [1, 7]], "int32")
    rows = [[0, 4], [2, 3], [0, 3], [1, 3]]
    vectors = ops.convert_to_numpy(layer(ops.convert_to_tensor(codes)))
    np.testing.assert_array_equal(vectors, table[rows].reshape(4, 8))


@pytest.mark.parametrize(
    "layer", [LocationScale("last", mask=True), Normalise(), Highway(4), CodeEmbedding((3, 2), 5)], ids=lambda x: x.name
)
def test_layer_survives_serialisation(layer: Any) -> None:
    """The configuration rebuilds an equal layer under its registered name."""
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()
