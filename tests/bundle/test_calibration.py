"""Calibration of base quantiles: ranks computed by hand, no crossing, the median stays, npz round trip."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from math import ceil, floor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from forecasting.bundle.calibration import Calibration, identity
from forecasting.errors import ArtifactError, GatecastError

BASE = (0.1, 0.5, 0.9)
STEPS = hnp.arrays(np.float32, (2, 3, 7), elements=st.floats(-10, 10, width=32))
FORECASTS = hnp.arrays(np.float32, (4, 2, 3), elements=st.floats(-10, 10, width=32))


def calibration(count: int = 9, horizon: int = 1) -> Calibration:
    """Residuals 1, 2, …, `count` for the lowest base quantile, ten and a hundred times that for the others."""
    ladder = np.arange(1, count + 1, dtype=np.float32)
    return Calibration(BASE, np.tile(np.stack([ladder, 10 * ladder, 100 * ladder]), (horizon, 1, 1)))


@pytest.mark.parametrize(
    ("tau", "expected"),
    [
        (0.05, -50 + 1),  # rank 0.5 of 9: the smallest there is
        (0.1, -50 + 1),  # rank 1
        (0.25, -50 + 2),  # rank 2.5, down
        (0.5, 0),  # the median stays
        (0.75, 50 + 800),  # rank 7.5, up
        (0.9, 50 + 900),  # rank 9
        (0.99, 50 + 900),  # rank 9.9: the largest there is
    ],
)
def test_apply_adds_the_residual_of_the_conformal_rank(tau: float, expected: float) -> None:
    """With residuals 1 to 9 the rank can be read off the result."""
    base = np.array([[[-50.0, 0.0, 50.0]]])
    assert calibration().apply(base, (tau,)).tolist() == [[[expected]]]


def test_apply_without_a_base_median_corrects_the_median_too() -> None:
    """A base that holds no 0.5 has no point forecast that could stay."""
    residuals = np.arange(1, 10, dtype=np.float32).reshape(1, 1, 9)
    assert Calibration((0.4,), residuals).apply(np.zeros((1, 1, 1)), (0.5,)).tolist() == [[[5.0]]]


@given(base=FORECASTS, residuals=STEPS)
def test_apply_matches_a_plain_loop_where_nothing_crosses(base: np.ndarray, residuals: np.ndarray) -> None:
    """One wanted quantile at a time, ranks by Python's own sort; the median bounds it."""
    residuals = np.sort(residuals, axis=-1)
    given_calibration = Calibration(BASE, residuals)
    for tau, index in [(0.1, 0), (0.2, 0), (0.6, 1), (0.85, 2)]:
        ours = given_calibration.apply(base, (tau,))
        for n, h in np.ndindex(4, 2):
            rank = floor(8 * tau) if tau < 0.5 else ceil(8 * tau)
            value = base[n, h, index] + sorted(residuals[h, index])[min(max(rank, 1), 7) - 1]
            bound = min if tau < 0.5 else max
            assert ours[n, h, 0] == bound(value, base[n, h, 1])


@given(base=FORECASTS, residuals=STEPS, wanted=st.sets(st.sampled_from(np.arange(1, 20) / 20), min_size=1))
def test_apply_never_crosses_and_leaves_the_median(base: np.ndarray, residuals: np.ndarray, wanted: set[float]) -> None:
    """Whatever the base and its residuals: quantiles increase and the point forecast does not move."""
    levels = tuple(float(tau) for tau in sorted({*wanted, 0.5}))
    ours = Calibration(BASE, np.sort(residuals, axis=-1)).apply(base, levels)
    assert ours.shape == (4, 2, len(levels))
    assert (np.diff(ours, axis=-1) >= 0).all()
    assert (ours[..., levels.index(0.5)] == base[..., 1]).all()


def test_apply_gives_an_interval_that_does_not_depend_on_whether_the_median_is_asked_for() -> None:
    """The same bounds with and without the median, also where the base is biased so much that bounds cross it."""
    biased = calibration(horizon=2)
    base = np.zeros((3, 2, 3))
    assert (biased.apply(base, (0.1, 0.9)) == biased.apply(base, (0.1, 0.5, 0.9))[..., [0, 2]]).all()


def test_many_wanted_lists_at_once_give_what_each_gives_alone() -> None:
    """More lists than are remembered, asked for from several threads in another order each."""
    base, lists = np.zeros((2, 1, 3), np.float32), [(k / 200, 1 - k / 200) for k in range(1, 100)]
    alone = [calibration().apply(base, wanted).tolist() for wanted in lists]
    shared = calibration()

    def ask(seed: int) -> bool:
        order = np.random.default_rng(seed).permutation(len(lists))
        return all(shared.apply(base, lists[i]).tolist() == alone[i] for i in order)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(8)))


def test_memory_does_not_grow_with_the_lists_that_clients_think_of() -> None:
    """A thousand others leave what the first few left: 32 lists of 1,000 steps take a fraction of a megabyte."""
    one, base = calibration(count=2, horizon=1000), np.zeros((1, 1000, 3), np.float32)
    tracemalloc.start()
    try:
        for k in range(1, 1001):
            one.apply(base, (k / 2000, 0.9))
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()


def test_apply_keeps_a_forecast_that_is_not_finite() -> None:
    """Calibration must not hide a broken network."""
    base = np.array([[[np.nan, 0.0, 1.0]]])
    assert np.isnan(calibration().apply(base, (0.1, 0.5))[0, 0, 0])


def test_steps_count_their_own_residuals() -> None:
    """NaN fills the end of a step that has fewer residuals, and its ranks are those of its own count."""
    residuals = np.full((2, 1, 4), np.nan, np.float32)
    residuals[0, 0] = [1, 2, 3, 4]
    residuals[1, 0, :1] = [7]
    given_calibration = Calibration((0.5,), residuals)
    assert given_calibration.counts.tolist() == [4, 1]
    assert given_calibration.apply(np.zeros((1, 2, 1)), (0.75,)).ravel().tolist() == [4, 7]


def test_identity_gives_base_quantiles_and_refuses_others() -> None:
    """Without residuals nothing can be said about a quantile that the network does not forecast."""
    base = np.array([[[1.0, 2.0, 3.0]], [[4.0, 5.0, 6.0]]])
    plain = identity(BASE, 1)
    assert plain.apply(base, (0.1, (1 + 0.8) / 2)).tolist() == [[[1.0, 3.0]], [[4.0, 6.0]]]
    with pytest.raises(GatecastError, match=r"\[0.2\] need residuals, but steps \[1\] have none.*\[0.1, 0.5, 0.9\]"):
        plain.apply(base, (0.1, 0.2))


@pytest.mark.parametrize("wanted", [(), (0.9, 0.1), (0.5, 0.5), (0.0, 0.5), (0.5, 1.0)])
def test_apply_refuses_quantiles_out_of_order_or_range(wanted: tuple[float, ...]) -> None:
    """Quantiles increase strictly within (0, 1)."""
    with pytest.raises(GatecastError, match="must increase strictly and lie between 0 and 1"):
        calibration().apply(np.zeros((1, 1, 3)), wanted)


def test_apply_refuses_a_base_of_another_shape() -> None:
    """The error says which shape came and which was expected."""
    with pytest.raises(GatecastError, match=r"\(1, 2, 3\), expected \(B, 1, 3\)"):
        calibration().apply(np.zeros((1, 2, 3)), (0.5,))


def test_arrays_survive_an_npz_file(tmp_path: Path) -> None:
    """Written and read without pickle, the calibration gives the same quantiles to the last bit."""
    before = calibration(horizon=2)
    np.savez(tmp_path / "conformal.npz", **before.to_arrays())
    with np.load(tmp_path / "conformal.npz", allow_pickle=False) as arrays:
        after = Calibration.from_arrays({name: arrays[name] for name in arrays.files})
    base = np.random.default_rng(0).normal(size=(5, 2, 3))
    assert (after.apply(base, (0.05, 0.5, 0.77)) == before.apply(base, (0.05, 0.5, 0.77))).all()
    assert after.quantiles == before.quantiles


def test_groups_survive_an_npz_file(tmp_path: Path) -> None:
    """Groups of unequally many residuals come back under their names, also for a longer horizon."""
    before = Calibration(BASE, calibration(20).residuals, {"a/1": calibration(9), "ü": calibration(5)})
    np.savez(tmp_path / "conformal.npz", **before.to_arrays())
    with np.load(tmp_path / "conformal.npz", allow_pickle=False) as arrays:
        after = Calibration.from_arrays({name: arrays[name] for name in arrays.files}).reaching(3)
    base = np.random.default_rng(0).normal(size=(3, 3, 3))
    groups = ["ü", "unknown", "a/1"]
    given = after.apply(base, (0.05, 0.5, 0.77), groups)
    assert (given == before.reaching(3).apply(base, (0.05, 0.5, 0.77), groups)).all()
    for place, alone in enumerate((calibration(5), calibration(20), calibration(9))):
        expected = alone.reaching(3).apply(base[place : place + 1], (0.05, 0.5, 0.77))
        np.testing.assert_array_equal(given[place : place + 1], expected)


def test_from_arrays_refuses_what_is_no_calibration() -> None:
    """Missing arrays and shapes that do not fit are named."""
    with pytest.raises(ArtifactError, match="lacks quantiles, residuals"):
        Calibration.from_arrays({})
    with pytest.raises(ArtifactError, match=r"quantiles \(2,\) and residuals \(1, 3, 9\)"):
        Calibration.from_arrays(calibration().to_arrays() | {"quantiles": np.array([0.1, 0.5])})
    grouped = {"groups": np.array(["a", "b"]), "grouped": np.zeros((1, 1, 3, 9), np.float32)}
    with pytest.raises(ArtifactError, match=r"\(2,\) groups with residuals \(1, 1, 3, 9\)"):
        Calibration.from_arrays(calibration().to_arrays() | grouped)
