"""Scaling against values computed by hand, its exact inverse, and what it does where there is nothing to scale by."""

from collections.abc import Callable
from math import log1p, sqrt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from forecasting.config.series import Series
from forecasting.series.scaling import Scaler, fit

NAN = np.nan
KINDS = ("standard", "robust", "none")
FINITE = st.floats(-1e6, 1e6)


def state(scaler: Scaler, name: str) -> tuple[float, float]:
    """Location and scale of one series."""
    location, scale = scaler.of(pd.Index([name], dtype="str"))
    return float(location[0]), float(scale[0])


@pytest.mark.parametrize(
    ("kind", "readings", "expected"),
    [
        ("standard", [1, 2, 3, 6], (3.0, sqrt(3.5))),  # deviations -2, -1, 0, 3
        ("standard", [1, NAN, 3], (2.0, 1.0)),
        ("robust", [1, 2, 3, 4, 1000], (3.0, 2 / 1.3489795)),  # quartiles 2 and 4
        ("none", [1, 2, 3], (0.0, 1.0)),
    ],
)
def test_location_and_scale_are_those_computed_by_hand(
    kind: str, readings: list[float], expected: tuple[float, float], make_table: Callable[..., pd.DataFrame]
) -> None:
    """Missing readings count for nothing; another series counts for nothing either."""
    scaler = fit(make_table({"a": readings, "b": [500, 900]}), Series(freq="h", scale=kind))
    assert state(scaler, "a") == pytest.approx(expected, rel=1e-12)


def test_log_makes_growth_by_shares_even(make_table: Callable[..., pd.DataFrame]) -> None:
    """A doubling is as large a step at every level and in every unit; location and scale are of the logarithms."""
    scaler = fit(make_table({"a": [1, np.e**2], "b": [1e6, 1e6 * np.e**2]}), Series(freq="h", transform="log"))
    np.testing.assert_allclose(scaler.location, [1, 1 + np.log(1e6)])
    np.testing.assert_allclose(scaler.scale, [1, 1])
    y = np.array([0.5, 1.0, 2.0, 4.0])
    scaled = scaler.apply(y, *scaler.of(["a"]))
    np.testing.assert_allclose(np.diff(scaled), np.log(2))
    np.testing.assert_allclose(scaler.apply(1e6 * y, *scaler.of(["b"])), scaled)
    np.testing.assert_allclose(scaler.invert(scaled, *scaler.of(["a"])), y)


def test_readings_without_a_logarithm_count_as_very_low(make_table: Callable[..., pd.DataFrame]) -> None:
    """Zero and less are eight spreads below the mean; what is missing stays missing, and none of it moves the scale."""
    scaler = fit(make_table({"a": [1, np.e**2, 0, -3]}), Series(freq="h", transform="log"))
    assert (scaler.location, scaler.scale) == ((1.0,), (1.0,))
    np.testing.assert_array_equal(scaler.apply(np.array([0.0, -5.0, np.nan]), 1.0, 1.0), [-8, -8, np.nan])


def test_log1p_is_taken_before_location_and_scale(make_table: Callable[..., pd.DataFrame]) -> None:
    """Readings 0 and e² - 1 are 0 and 2 on the log scale: location 1, scale 1."""
    scaler = fit(make_table({"a": [0, np.e**2 - 1]}), Series(freq="h", lower=0, transform="log1p"))
    assert state(scaler, "a") == pytest.approx((1.0, 1.0))
    assert scaler.apply(np.array([9.0]), 1.0, 1.0)[0] == pytest.approx(log1p(9) - 1)


def test_unseen_series_take_the_pooled_location_and_scale(make_table: Callable[..., pd.DataFrame]) -> None:
    """A series that training never saw is scaled by all readings together, whatever the order asked for."""
    scaler = fit(make_table({"a": [1, 3], "b": [5, 7]}), Series(freq="h"))
    assert state(scaler, "new") == pytest.approx((4.0, sqrt(5.0)))
    location, _ = scaler.of(pd.Index(["new", "b", "a"], dtype="str"))
    assert location.tolist() == [4.0, 6.0, 2.0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("readings", "size"),
    [([5.0, 5.0, 5.0], 5.0), ([NAN, NAN], 1.0), ([7.0], 7.0), ([0.0, 0.0], 1.0), ([1e12, 1e12 + 1e-4], 1e12)],
)
def test_a_series_that_never_changes_is_scaled_by_its_level(
    kind: str, readings: list[float], size: float, make_table: Callable[..., pd.DataFrame]
) -> None:
    """Alone, without any other series to borrow from; rounding noise is no spread, and nothing has no unit."""
    scaler = fit(make_table({"a": readings}), Series(freq="h", scale=kind))
    location, scale = state(scaler, "a")
    assert scale == pytest.approx(1.0 if kind == "none" else size)
    assert scaler.borrowed == (() if kind == "none" else ("a",))
    assert np.isfinite([location, *scaler.pooled]).all()
    assert Scaler.model_validate_json(scaler.model_dump_json()) == scaler


def test_covariates_are_standardised_over_all_series_and_labels_left_alone(
    make_table: Callable[..., pd.DataFrame],
) -> None:
    """One location and scale per numeric covariate; one without any value keeps 0 and 1."""
    table = make_table({"a": [1, 2], "b": [3, 4]}).assign(p=[1.0, 3.0, NAN, 5.0], f=NAN, s=[2.0, 2, 2, 2], c="x")
    series = Series(freq="h", past=("p", "c"), future=("f",), static=("s",), categorical=("c",))
    scaler = fit(table, series)
    assert scaler.covariates == {"p": pytest.approx((3.0, sqrt(8 / 3))), "f": (0.0, 1.0), "s": (2.0, 2.0)}
    assert scaler.apply_covariate("s", np.array([2.0, 3.0])).tolist() == [0.0, 0.5]


@example(y=np.full(20, 1e-312), other=np.ones(5), kind="standard", transform="none")
@given(
    y=hnp.arrays(np.float64, 20, elements=st.floats(0, 1e5)),
    other=hnp.arrays(np.float64, 5, elements=st.floats(0, 1e5)),
    kind=st.sampled_from(KINDS),
    transform=st.sampled_from(["none", "log1p"]),
)
def test_invert_undoes_apply(y: np.ndarray, other: np.ndarray, kind: Any, transform: Any) -> None:
    """Every reading comes back, also those the scaler was not fitted on."""
    table = pd.DataFrame({"unique_id": "a", "y": y})
    scaler = fit(table, Series(freq="h", lower=0, scale=kind, transform=transform))
    pair = state(scaler, "a")
    for values in (y, other):
        back = scaler.invert(scaler.apply(values, *pair), *pair)
        assert back == pytest.approx(values, rel=1e-9, abs=1e-9 * (1 + float(np.max(y))))


@given(
    numbers=st.lists(st.tuples(st.text(min_size=1, max_size=4), FINITE, st.floats(1e-9, 1e9)), max_size=5),
    pooled=st.tuples(FINITE, st.floats(1e-9, 1e9)),
)
def test_json_round_trip_is_exact(numbers: list[tuple[str, float, float]], pooled: tuple[float, float]) -> None:
    """The state of a shipped bundle is the state that was fitted, to the last bit."""
    names, location, scale = zip(*numbers, strict=True) if numbers else ((), (), ())
    covariates = {name: (mean, spread) for name, mean, spread in numbers}
    scaler = Scaler(unique_id=names, location=location, scale=scale, pooled=pooled, covariates=covariates)
    assert Scaler.model_validate_json(scaler.model_dump_json()) == scaler


def test_a_series_that_never_changes_borrows_from_the_panel(make_table: Callable[..., pd.DataFrame]) -> None:
    """Its level times the median ratio of scale and level (1/2 and 1/4 here); zero takes the median scale (1 and 3)."""
    changing = {"a": [1.0, 3.0], "b": [9.0, 15.0]}
    scaler = fit(make_table(changing | {"flat": [8.0, 8.0], "dead": [0.0, 0.0]}), Series(freq="h"))
    assert state(scaler, "flat") == pytest.approx((8.0, 3.0))
    assert state(scaler, "dead") == pytest.approx((0.0, 2.0))
    assert scaler.borrowed == ("dead", "flat")
    assert scaler.extended(fit(make_table({"new": [4.0]}), Series(freq="h"))).borrowed == ("dead", "flat", "new")


def test_robust_takes_the_deviation_where_most_readings_are_the_same(make_table: Callable[..., pd.DataFrame]) -> None:
    """Sales on one day in five: no distance between the quartiles, but a scale all the same."""
    scaler = fit(make_table({"a": [0, 0, 0, 0, 5]}), Series(freq="h", scale="robust"))
    assert state(scaler, "a") == pytest.approx((0.0, 2.0))


UNITS = [1e-12, 1e-7, 1e6, 1e12]


@pytest.mark.parametrize("kind", ["standard", "robust"])
@pytest.mark.parametrize("unit", UNITS)
@settings(max_examples=20)
@given(
    y=hnp.arrays(np.float64, 20, elements=st.integers(-1000, 1000).map(float)),
    shift=st.sampled_from([0.0, 1.0, -1e3, 1e6, -1e9]),
)
def test_the_scaled_space_knows_no_unit(kind: Any, unit: float, y: np.ndarray, shift: float) -> None:
    """From 1e-12 to 1e12, shifted by up to 1e9 of the spread: a network reads the same, beside ordinary series."""
    spread = float(y.std())
    if spread < 1:  # never changes: then a shift is another level
        return
    other = np.tile([1.0, 2.0, 4.0, 3.0], 5)
    scaled = {}
    for name, values in {"plain": y, "other unit": unit * (y + shift * spread)}.items():
        table = pd.DataFrame({"unique_id": np.repeat(["a", "b"], 20), "y": np.concatenate([values, other])})
        location, scale = state(fit(table, Series(freq="h", scale=kind)), "a")
        scaled[name] = ((values - location) / scale).astype(np.float32)
    exact = 1e-5 + abs(shift) * 1e-14  # a number of 16 digits has lost those that a shift takes
    np.testing.assert_allclose(scaled["other unit"], scaled["plain"], atol=exact)
