"""Quantile functions and softmax against SciPy, far into the tails."""

import numpy as np
import pytest
from scipy import special, stats

from forecasting.bundle.numerics import (
    log_softmax,
    negative_binomial_quantile,
    normal_quantile,
    softmax,
    student_t_quantile,
)

LEVELS = np.array([1e-12, 1e-6, 0.001, 0.01, 0.1, 0.25, 0.49, 0.5, 0.6, 0.75, 0.9, 0.99, 0.999, 1 - 1e-6])


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that starts the same in every test."""
    return np.random.default_rng(5)


def test_normal_quantiles_agree_with_scipy() -> None:
    """Also of a single number, to fourteen digits."""
    np.testing.assert_allclose(normal_quantile(LEVELS), special.ndtri(LEVELS), rtol=1e-14, atol=1e-15)
    assert float(normal_quantile(np.array(0.975))) == pytest.approx(1.959963984540054, rel=1e-15)


def test_student_t_quantiles_agree_with_scipy(rng: np.random.Generator) -> None:
    """One degree of freedom and fractions of it to ten thousand, one in a million million to all but one."""
    freedom = np.concatenate([[1.0, 2.0, 3.0, 30.0], 10 ** rng.uniform(-0.3, 4, 1000)])[:, None]
    expected = special.stdtrit(freedom, LEVELS)
    np.testing.assert_allclose(student_t_quantile(freedom, LEVELS), expected, rtol=1e-10, atol=1e-15)


def test_student_t_quantiles_become_those_of_the_normal_distribution() -> None:
    """With ever more degrees of freedom."""
    np.testing.assert_allclose(student_t_quantile(np.array(1e12), LEVELS), special.ndtri(LEVELS), rtol=1e-4, atol=1e-15)


def test_student_t_median_is_zero() -> None:
    """Exactly, and beside it the quantile is a straight line through the density."""
    freedom = np.array([1.0, 4.0, 30.0, 1e3])
    assert np.all(student_t_quantile(freedom, np.array(0.5)) == 0)
    expected = 1e-6 / stats.t(freedom).pdf(0)
    np.testing.assert_allclose(student_t_quantile(freedom, np.array(0.5 + 1e-6)), expected, rtol=1e-9)


def test_counts_are_the_smallest_that_reach_the_level(rng: np.random.Generator) -> None:
    """Without a bound from below, means from 1e-3 to 1e6 and dispersions from 1e-6 to 100; held against betaincc."""
    mean, dispersion = 10 ** rng.uniform(-3, 6, (2000, 1)), 10 ** rng.uniform(-6, 2, (2000, 1))
    levels = LEVELS[1:]
    counts = negative_binomial_quantile(mean, dispersion, levels)
    share = mean / (mean + 1 / dispersion)
    assert np.all((counts >= 0) & (counts == np.round(counts)))
    assert np.all(special.betaincc(counts + 1, 1 / dispersion, share) >= levels * (1 - 1e-9))
    fewer = np.where(counts > 0, special.betaincc(np.maximum(counts, 1), 1 / dispersion, share), 0.0)
    assert np.all(fewer < levels * (1 + 1e-9))


@pytest.mark.parametrize("offset", [0.0, 1e4, -1e4])
def test_softmax_agrees_with_scipy(offset: float, rng: np.random.Generator) -> None:
    """Large logits, and one that says impossible."""
    logits = rng.normal(0, 20, (50, 7)) + offset
    np.testing.assert_allclose(log_softmax(logits), special.log_softmax(logits, axis=-1), rtol=1e-12)
    logits[:, 3] = -np.inf
    np.testing.assert_allclose(softmax(logits), special.softmax(logits, axis=-1), rtol=1e-12)
